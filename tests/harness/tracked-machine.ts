import assert from 'node:assert/strict';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type Client,
  data,
  type HttpNfcLeaseInfo,
  type ManagedObjectReference,
  type VirtualMachineConfigInfo,
  type VirtualMachineSnapshotInfo,
  type VirtualMachineSnapshotTree,
} from '@hypostyle/vim';
import { type NbdDisk, openNbdDisk } from '@hypostyle/vmdk';
import { Daemon } from './daemon.ts';
import { guestIo } from './guest-io.ts';
import { added, createMachine, eventually, type Machine, machineSpec, powerOn, signedIn } from './guest-machine.ts';

export type Snapshot = ManagedObjectReference<'VirtualMachineSnapshot'>;

export interface Area {
  readonly offset: number;
  readonly length: number;
}

const name = 'tracked';
const folder = name;

/**
 * A machine whose changed blocks are tracked, with one disk and no operating system, as a client of its host's public
 * interface has it. The daemon may be killed and started again.
 */
export class TrackedMachine {
  readonly diskBytes: number;
  readonly #home: string;
  #daemon: Daemon;
  #client: Client;
  #machine: Machine;
  #leases = 0;
  #isElsewhere = false;

  private constructor(home: string, diskBytes: number, daemon: Daemon, client: Client, machine: Machine) {
    this.#home = home;
    this.diskBytes = diskBytes;
    this.#daemon = daemon;
    this.#client = client;
    this.#machine = machine;
  }

  get #otherDatastore(): string {
    return join(this.#home, 'other');
  }

  static async create(home: string, diskBytes: number): Promise<TrackedMachine> {
    const daemon = await Daemon.start({ home });
    const client = await signedIn(daemon);
    const machine = await createMachine(client, {
      ...machineSpec(name),
      changeTrackingEnabled: true,
      deviceChange: [
        added(data('ParaVirtualSCSIController', { key: -10, busNumber: 0, sharedBus: 'noSharing' })),
        {
          ...added(
            data('VirtualDisk', {
              key: -11,
              controllerKey: -10,
              unitNumber: 0,
              capacityInKB: diskBytes / 1024,
              backing: data('VirtualDiskFlatVer2BackingInfo', {
                fileName: '',
                diskMode: 'persistent',
                thinProvisioned: true,
              }),
            }),
          ),
          fileOperation: 'create',
        },
      ],
    });
    return new TrackedMachine(home, diskBytes, daemon, client, machine);
  }

  async remove(): Promise<void> {
    await this.#client[Symbol.asyncDispose]();
    await this.#daemon.remove();
  }

  /** Ends the daemon in the middle of whatever it does, and starts another. */
  async killDaemon(): Promise<void> {
    await this.#daemon.kill();
    await this.#client[Symbol.asyncDispose]().catch(() => {});
    this.#daemon = await Daemon.start({ home: this.#home });
    this.#client = await signedIn(this.#daemon);
    this.#leases = 0;
    await eventually(async () => (await this.#property('runtime.connectionState')) === 'connected', 'the machine');
  }

  async killEngine(): Promise<void> {
    const [engine] = await this.#daemon.engines();
    assert.ok(engine, 'no engine runs');
    process.kill(engine.pid, 'SIGKILL');
    await eventually(async () => !(await this.runs()), 'the end of the engine to be noticed');
  }

  async runs(): Promise<boolean> {
    return (await this.#property('runtime.powerState')) === 'poweredOn';
  }

  powerOn(): Promise<void> {
    return powerOn(this.#client, this.#machine);
  }

  powerOff(): Promise<unknown> {
    return this.#task(this.#machine, 'PowerOffVM_Task', {});
  }

  suspend(): Promise<unknown> {
    return this.#task(this.#machine, 'SuspendVM_Task', {});
  }

  /** Moves it, on or off, to the other one of two datastores. */
  async relocate(): Promise<void> {
    const system = { type: 'HostDatastoreSystem', value: 'ha-datastoresystem' } as const;
    const datacenter = { type: 'Datacenter', value: 'ha-datacenter' } as const;
    const known = async () => {
      const [found] = await this.#client.retrieve(datacenter, ['datastore']);
      return (found?.values.datastore ?? []) as ManagedObjectReference<'Datastore'>[];
    };
    if ((await known()).length === 1)
      await this.#client.call(system, 'CreateLocalDatastore', { name: 'other', path: this.#otherDatastore });
    const here = (await this.#property<ManagedObjectReference<'Datastore'>[]>('datastore'))[0];
    const datastore = (await known()).find(({ value }) => value !== here?.value);
    assert.ok(datastore, 'there is another datastore');
    await this.#task(this.#machine, 'RelocateVM_Task', { spec: data('VirtualMachineRelocateSpec', { datastore }) });
    this.#isElsewhere = !this.#isElsewhere;
  }

  /** As the guest does; what was written is not lost when the engine is killed. */
  async io(commands: readonly string[]): Promise<void> {
    const [engine] = await this.#daemon.engines();
    assert.ok(engine, 'no engine runs');
    await guestIo(engine, [...commands, 'flush']);
  }

  /** Writes to the disk's file past everything, while the machine is off. */
  async writeFile(offset: number, bytes: Buffer): Promise<void> {
    const datastore = this.#isElsewhere ? this.#otherDatastore : this.#daemon.datastore;
    const file = await open(join(datastore, folder, `${name}-flat.vmdk`), 'r+');
    try {
      await file.write(bytes, 0, bytes.length, offset);
    } finally {
      await file.close();
    }
  }

  async take(label: string): Promise<Snapshot> {
    return (await this.#task(this.#machine, 'CreateSnapshot_Task', {
      name: label,
      memory: false,
      quiesce: false,
    })) as Snapshot;
  }

  async revert(snapshot: Snapshot): Promise<void> {
    await this.#task(snapshot, 'RevertToSnapshot_Task', {});
  }

  async removeSnapshot(snapshot: Snapshot): Promise<void> {
    await this.#task(snapshot, 'RemoveSnapshot_Task', { removeChildren: false, consolidate: true });
  }

  async removeAll(): Promise<void> {
    await this.#task(this.#machine, 'RemoveAllSnapshots_Task', {});
  }

  /** Begins to take a snapshot or to remove all, does something meanwhile, and waits for the end of both. */
  async amidst(work: { readonly take: string } | 'removeAll', meanwhile: () => Promise<void>): Promise<void> {
    const task =
      work === 'removeAll'
        ? await this.#client.call(this.#machine, 'RemoveAllSnapshots_Task', {})
        : await this.#client.call(this.#machine, 'CreateSnapshot_Task', {
            name: work.take,
            memory: false,
            quiesce: false,
          });
    await meanwhile();
    // It goes on after a restart, or has failed by what was done.
    await this.#client.waitForTask(task).catch(() => {});
  }

  /** Snapshots that are there, by name. */
  async snapshots(): Promise<Map<string, Snapshot>> {
    const found = new Map<string, Snapshot>();
    const add = (trees: readonly VirtualMachineSnapshotTree[]) => {
      for (const tree of trees) {
        found.set(tree.name, tree.snapshot);
        add(tree.childSnapshotList ?? []);
      }
    };
    add((await this.#property<VirtualMachineSnapshotInfo | undefined>('snapshot'))?.rootSnapshotList ?? []);
    return found;
  }

  /** `backing.changeId` of the disk, as it is or as a snapshot has it. */
  async changeId(snapshot?: Snapshot): Promise<string | undefined> {
    const [found] = await this.#client.retrieve((snapshot ?? this.#machine) as Machine, ['config']);
    const config = found?.values.config as VirtualMachineConfigInfo;
    const disk = config.hardware.device?.find(({ _typeName }) => _typeName === 'VirtualDisk');
    return (disk?.backing as { readonly changeId?: string } | undefined)?.changeId;
  }

  /** What changed since an id, the whole disk through. */
  async changedAreas(changeId: string, snapshot?: Snapshot): Promise<Area[]> {
    const areas: Area[] = [];
    for (let at = 0; at < this.diskBytes; ) {
      const info = await this.#client.call(this.#machine, 'QueryChangedDiskAreas', {
        ...(snapshot ? { snapshot } : {}),
        deviceKey: 2000,
        startOffset: at,
        changeId,
      });
      assert.equal(Number(info.startOffset), at);
      assert.ok(Number(info.length) > 0, 'it goes on');
      for (const { start, length } of info.changedArea ?? []) {
        areas.push({ offset: Number(start), length: Number(length) });
      }
      at += Number(info.length);
    }
    return areas;
  }

  /** Reads the disk as it is, or as a snapshot has it, over NBD. */
  async read<T>(use: (disk: NbdDisk) => Promise<T>, snapshot?: Snapshot): Promise<T> {
    const at = snapshot === undefined ? '' : `@${await this.#idOf(snapshot)}`;
    const ticket = await this.#client.call(this.#machine, 'AcquireTicket', { ticketType: `nbd:2000${at}` });
    const { port } = ticket;
    assert.ok(port);
    const address = { host: this.#daemon.host, port, tls: { rejectUnauthorized: false } };
    try {
      const disk = await openNbdDisk(address, ticket.ticket);
      try {
        return await use(disk);
      } finally {
        await disk.close();
      }
    } finally {
      await this.#client.call(await this.#leaseOf(ticket.ticket), 'HttpNfcLeaseComplete', {});
    }
  }

  async #leaseOf(ticket: string): Promise<ManagedObjectReference<'HttpNfcLease'>> {
    for (;;) {
      this.#leases += 1;
      const lease: ManagedObjectReference<'HttpNfcLease'> = { type: 'HttpNfcLease', value: `lease-${this.#leases}` };
      const found = await this.#client.retrieve(lease, ['info']).catch(() => []);
      const info = found[0]?.values.info as HttpNfcLeaseInfo | undefined;
      if (info?.deviceUrl?.some(({ url }) => url.endsWith(ticket))) return lease;
      assert.ok(this.#leases < 2000, 'the lease of a ticket is not there');
    }
  }

  async #idOf(snapshot: Snapshot): Promise<number> {
    const info = await this.#property<VirtualMachineSnapshotInfo>('snapshot');
    const search = (trees: readonly VirtualMachineSnapshotTree[]): VirtualMachineSnapshotTree | undefined => {
      for (const tree of trees) {
        const found = tree.snapshot.value === snapshot.value ? tree : search(tree.childSnapshotList ?? []);
        if (found !== undefined) return found;
      }
      return undefined;
    };
    const found = search(info.rootSnapshotList);
    assert.ok(found, 'the snapshot is in the tree');
    return found.id;
  }

  async #property<T>(path: string): Promise<T> {
    const [found] = await this.#client.retrieve(this.#machine, [path]);
    return found?.values[path] as T;
  }

  async #task(self: ManagedObjectReference, method: string, args: object): Promise<unknown> {
    const call = this.#client.call.bind(this.#client) as (
      self: ManagedObjectReference,
      method: string,
      args: object,
    ) => Promise<ManagedObjectReference<'Task'>>;
    return await this.#client.waitForTask(await call(self, method, args));
  }
}
