import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  data,
  type HttpNfcLeaseInfo,
  type ManagedObjectReference,
  VimFault,
  type VirtualDevice,
  type VirtualMachineConfigInfo,
  type VirtualMachineSnapshotInfo,
  type VirtualMachineSnapshotTree,
} from '@hypostyle/vim';
import { type NbdDisk, openDisk, openNbdDisk } from '@hypostyle/vmdk';
import type { Center } from './center.ts';
import { added, type Machine } from './guest-machine.ts';
import type { Area } from './tracked-machine.ts';
import { askWeb, DatastoreFiles } from './web-files.ts';

type Snapshot = ManagedObjectReference<'VirtualMachineSnapshot'>;
type Task = ManagedObjectReference<'Task'>;

/** What is kept of one disk of a machine. */
export interface KeptDisk {
  readonly key: number;
  readonly bytes: Buffer;
  /** Id of the moment, to ask with the next time. */
  readonly changeId: string;
  /** What was told to have changed, and read. All that was stored, where `full`. */
  readonly areas: readonly Area[];
  readonly full: boolean;
}

interface SourceDisk {
  readonly key: number;
  readonly capacityBytes: number;
  readonly fileName: string;
  readonly changeId: string;
}

export interface BackUpOptions {
  /** What was kept the last time. */
  readonly before?: readonly KeptDisk[] | undefined;
  /** Keys of disks of which the whole stream of a lease is read as well. */
  readonly streamed?: readonly number[];
  /** Called once the snapshot is there, and before anything is read. */
  readonly taken?: () => Promise<void>;
  /** In place of the removal: begins it, and does what it does. */
  readonly removal?: (task: () => Promise<Task>) => Promise<void>;
}

/** A tool that backs up machines of a center, by the center's interface alone. */
export class BackupTool {
  readonly #center: Center;

  constructor(center: Center) {
    this.#center = center;
  }

  /**
   * Takes a snapshot, reads what changed since the last time over NBD and from the datastore's files, which must give the
   * same bytes, and removes the snapshot. An id that says nothing any more has all be read that is stored.
   */
  async backUp(machine: Machine, { before, streamed = [], taken, removal }: BackUpOptions = {}): Promise<KeptDisk[]> {
    const { client } = this.#center;
    const create = { name: 'backup', description: '', memory: false, quiesce: false };
    const snapshot = (await client.waitForTask(await client.call(machine, 'CreateSnapshot_Task', create))) as Snapshot;
    await taken?.();
    const kept: KeptDisk[] = [];
    for (const disk of await this.#disksOf(snapshot)) {
      const base = before?.find(({ key }) => key === disk.key);
      kept.push(await this.#readDisk(machine, snapshot, disk, base));
    }
    if (streamed.length > 0) await this.#compareStreams(snapshot, kept, streamed);
    const remove = () => client.call(snapshot, 'RemoveSnapshot_Task', { removeChildren: false, consolidate: true });
    if (removal === undefined) await client.waitForTask(await remove());
    else await removal(remove);
    return kept;
  }

  /** A new machine on the center's own host, with disks of these bytes written over NBD; it is off. */
  async restore(name: string, kept: readonly KeptDisk[], devices: readonly VirtualDevice[] = []): Promise<Machine> {
    const controller = data('ParaVirtualSCSIController', { key: -100, busNumber: 0, sharedBus: 'noSharing' });
    const disks = kept.map(({ bytes }, index) =>
      data('VirtualDisk', {
        key: -101 - index,
        controllerKey: -100,
        unitNumber: index,
        capacityInKB: bytes.length / 1024,
        backing: data('VirtualDiskFlatVer2BackingInfo', {
          fileName: '',
          diskMode: 'persistent',
          thinProvisioned: true,
        }),
      }),
    );
    const machine = await this.#center.create({
      _typeName: 'VirtualMachineConfigSpec',
      name,
      guestId: 'otherLinux64Guest',
      numCPUs: 1,
      memoryMB: 192,
      files: { _typeName: 'VirtualMachineFileInfo', vmPathName: '[datastore1]' },
      deviceChange: [
        added(controller),
        ...disks.map((disk) => ({ ...added(disk), fileOperation: 'create' as const })),
        ...devices.map(added),
      ],
    });
    const config = await this.#center.property<VirtualMachineConfigInfo>(machine, 'config');
    for (const [index, { key }] of disksIn(config).entries()) {
      const bytes = kept[index]?.bytes as Buffer;
      await this.overNbd(machine, `${key}:rw`, async (disk) => {
        for (const { offset, length } of dataAreas(bytes)) {
          await disk.write(offset, bytes.subarray(offset, offset + length));
        }
        await disk.flush();
      });
    }
    return machine;
  }

  /** The disks of a machine that is off, as they are in the files of the datastore. */
  async files(machine: Machine): Promise<Buffer[]> {
    const config = await this.#center.property<VirtualMachineConfigInfo>(machine, 'config');
    return Promise.all(disksIn(config).map(({ fileName }) => this.#folder().read(flatOf(fileName))));
  }

  /** Uses a disk as an export of a ticket gives it: `KEY`, `KEY:rw`, `KEY@SNAPSHOT?since=ID`. */
  async overNbd<T>(machine: Machine, subject: string, use: (disk: NbdDisk) => Promise<T>): Promise<T> {
    const { client, daemon } = this.#center;
    const { ticket, port, host } = await client.call(machine, 'AcquireTicket', { ticketType: `nbd:${subject}` });
    assert.ok(port);
    const address = { host: host ?? daemon.host, port, tls: { rejectUnauthorized: false } };
    const changeMaps = subject.includes('?since=') ? ['changes'] : [];
    const disk = await openNbdDisk(address, ticket, { writable: subject.endsWith(':rw'), changeMaps });
    try {
      return await use(disk);
    } finally {
      await disk.close();
    }
  }

  async #disksOf(snapshot: Snapshot): Promise<SourceDisk[]> {
    return disksIn(await this.#center.property<VirtualMachineConfigInfo>(snapshot, 'config'));
  }

  async #readDisk(
    machine: Machine,
    snapshot: Snapshot,
    disk: SourceDisk,
    base: KeptDisk | undefined,
  ): Promise<KeptDisk> {
    const { key, capacityBytes, changeId } = disk;
    let since = base?.changeId ?? '*';
    let areas: Area[];
    try {
      areas = await this.#changedAreas(machine, snapshot, disk, since);
    } catch (error) {
      if (!(error instanceof VimFault && error.type === 'FileFault' && since !== '*')) throw error;
      since = '*';
      areas = await this.#changedAreas(machine, snapshot, disk, since);
    }
    const full = since === '*';
    const bytes = full ? Buffer.alloc(capacityBytes) : Buffer.from(base?.bytes ?? []);
    const subject = `${key}@${await this.#idOf(machine, snapshot)}?since=${since}`;
    await this.overNbd(machine, subject, async (export_) => {
      assert.equal(export_.virtualBytes, capacityBytes);
      const told: Area[] = [];
      for await (const { offset, length, changed } of export_.changes('changes')) {
        if (changed) told.push({ offset, length });
      }
      assert.deepEqual(told, joined(areas), 'the change map tells what the interface tells');
      for (const { offset, length } of areas) (await export_.read(offset, length)).copy(bytes, offset);
    });
    const file = flatOf(disk.fileName);
    for (const { offset, length } of areas) {
      const read = await this.#folder().read(file, { offset, length });
      assert.ok(read.equals(bytes.subarray(offset, offset + length)), `${file} at ${offset} is as over NBD`);
    }
    return { key, bytes, changeId, areas, full };
  }

  async #changedAreas(machine: Machine, snapshot: Snapshot, disk: SourceDisk, changeId: string): Promise<Area[]> {
    const areas: Area[] = [];
    for (let at = 0; at < disk.capacityBytes; ) {
      const startOffset = BigInt(at);
      const info = await this.#center.client.call(machine, 'QueryChangedDiskAreas', {
        snapshot,
        deviceKey: disk.key,
        startOffset,
        changeId,
      });
      for (const { start, length } of info.changedArea ?? []) {
        areas.push({ offset: Number(start), length: Number(length) });
      }
      assert.ok(Number(info.length) > 0, 'it goes on');
      at += Number(info.length);
    }
    return areas;
  }

  /** The streams of an export of the snapshot, unpacked, are what was kept. */
  async #compareStreams(snapshot: Snapshot, kept: readonly KeptDisk[], streamed: readonly number[]): Promise<void> {
    const { client, daemon } = this.#center;
    const lease = await client.call(snapshot, 'ExportSnapshot', {});
    const folder = await mkdtemp(join(tmpdir(), 'hypostyle-stream-'));
    try {
      while ((await this.#center.property(lease, 'state')) === 'initializing');
      const info = await this.#center.property<HttpNfcLeaseInfo>(lease, 'info');
      for (const [index, { key, bytes }] of kept.entries()) {
        if (!streamed.includes(key)) continue;
        const url = info.deviceUrl?.[index]?.url.replace('*', `${daemon.host}:${daemon.port}`);
        assert.ok(url, 'the lease has the disk');
        const { status, body } = await askWeb(url);
        assert.equal(status, 200);
        await client.call(lease, 'HttpNfcLeaseProgress', { percent: 50 });
        const path = join(folder, `${key}.vmdk`);
        await writeFile(path, body);
        const disk = await openDisk(path);
        try {
          assert.ok((await disk.read(0, disk.virtualBytes)).equals(bytes), `the stream of ${key} is what was kept`);
        } finally {
          await disk.close();
        }
      }
      await client.call(lease, 'HttpNfcLeaseComplete', {});
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }

  async #idOf(machine: Machine, snapshot: Snapshot): Promise<number> {
    const search = (trees: readonly VirtualMachineSnapshotTree[] = []): number | undefined =>
      trees
        .map((tree) => (tree.snapshot.value === snapshot.value ? tree.id : search(tree.childSnapshotList)))
        .find((id) => id !== undefined);
    const { rootSnapshotList } = await this.#center.property<VirtualMachineSnapshotInfo>(machine, 'snapshot');
    const id = search(rootSnapshotList);
    assert.ok(id !== undefined, 'the snapshot is in the tree');
    return id;
  }

  #folder(): DatastoreFiles {
    return new DatastoreFiles(this.#center.client, this.#center.daemon);
  }
}

function disksIn(config: VirtualMachineConfigInfo): SourceDisk[] {
  return (config.hardware.device ?? []).flatMap((device) => {
    if (device._typeName !== 'VirtualDisk') return [];
    const { key, capacityInBytes, backing } = device as VirtualDevice & {
      readonly capacityInBytes: bigint;
      readonly backing: { readonly fileName: string; readonly changeId?: string };
    };
    return [
      { key, capacityBytes: Number(capacityInBytes), fileName: backing.fileName, changeId: backing.changeId ?? '*' },
    ];
  });
}

/** Path within the datastore of the bytes of a disk. */
function flatOf(fileName: string): string {
  return fileName.replace(/^\[[^\]]*\] */, '').replace(/\.vmdk$/, '-flat.vmdk');
}

function joined(areas: readonly Area[]): Area[] {
  const all: Area[] = [];
  for (const { offset, length } of areas) {
    const last = all.at(-1);
    if (last !== undefined && last.offset + last.length === offset) {
      all[all.length - 1] = { offset: last.offset, length: last.length + length };
    } else all.push({ offset, length });
  }
  return all;
}

/** Blocks of 64 KiB that are not all zeros, neighbours joined. */
function dataAreas(bytes: Buffer): Area[] {
  const blockBytes = 65_536;
  const zeros = Buffer.alloc(blockBytes);
  const blocks: Area[] = [];
  for (let offset = 0; offset < bytes.length; offset += blockBytes) {
    const block = bytes.subarray(offset, offset + blockBytes);
    if (!block.equals(zeros.subarray(0, block.length))) blocks.push({ offset, length: block.length });
  }
  return joined(blocks);
}
