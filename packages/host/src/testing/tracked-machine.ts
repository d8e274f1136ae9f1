import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { DiskChangeInfo, ManagedObjectReference, VirtualMachineConfigInfo } from '@hypostyle/vim';
import { blockStride } from './disk-reading.ts';
import { Computer, type Daemon, smallMachine, vmFolder } from './host-fixture.ts';

/** Device key of its disk. */
export const firstDisk = 2000;
export const grain = 65_536;

type Machine = ManagedObjectReference<'VirtualMachine'>;
type Snapshot = ManagedObjectReference<'VirtualMachineSnapshot'>;

/** A machine with one disk on a computer of its own, whose changes are told from its next start on. */
export class TrackedMachine {
  readonly computer: Computer;
  daemon: Daemon;
  #datastore: string;

  private constructor(computer: Computer, daemon: Daemon) {
    this.computer = computer;
    this.daemon = daemon;
    this.#datastore = computer.datastore;
  }

  static async make(t: TestContext, enabled = true): Promise<TrackedMachine> {
    const computer = await Computer.make();
    const tracked = new TrackedMachine(computer, await computer.start());
    t.after(async () => {
      assert.deepEqual(computer.defects, []);
      await tracked.daemon.host.close();
      await computer.remove();
    });
    await tracked.daemon.task(vmFolder, 'CreateVM_Task', smallMachine('web'));
    if (enabled) await tracked.enable();
    return tracked;
  }

  get machine(): Machine {
    const machine = this.daemon.machine('web');
    assert.ok(machine);
    return machine;
  }

  get folder(): string {
    return join(this.#datastore, 'web');
  }

  /** It was moved to a datastore in this directory. */
  movedTo(directory: string): void {
    this.#datastore = directory;
  }

  get hasImage(): boolean {
    return existsSync(join(this.folder, 'web-ctk.qcow2'));
  }

  enable(changeTrackingEnabled = true): Promise<unknown> {
    return this.task('ReconfigVM_Task', { spec: { _typeName: 'VirtualMachineConfigSpec', changeTrackingEnabled } });
  }

  task(name: string, args: Record<string, unknown> = {}): Promise<unknown> {
    return this.daemon.task(this.machine, name, args);
  }

  async take(name: string): Promise<Snapshot> {
    return (await this.task('CreateSnapshot_Task', { name, memory: false, quiesce: false })) as Snapshot;
  }

  write(block: number, value = 1, diskId = 'scsi0u0'): void {
    this.computer.engines.write(join(this.folder, '.hypo', 'vm.lck'), diskId, block * blockStride, value);
  }

  async crash(): Promise<void> {
    this.computer.engines.end(join(this.folder, '.hypo', 'vm.lck'), 'crashed');
    while (this.daemon.read(this.machine, 'runtime')?.powerState === 'poweredOn') await new Promise(setImmediate);
  }

  /** The id of the disk as it is, or as a snapshot has it. */
  id(snapshot?: Snapshot, key = firstDisk): string | undefined {
    const config = (
      snapshot === undefined
        ? this.daemon.read(this.machine, 'config')
        : this.daemon.host.registry.read(snapshot, 'config')
    ) as VirtualMachineConfigInfo | undefined;
    const disk = config?.hardware.device?.find((device) => device.key === key);
    return (disk?.backing as { readonly changeId?: string } | undefined)?.changeId;
  }

  /** Blocks that changed since an id. */
  async changed(changeId: string | undefined, snapshot?: Snapshot, key = firstDisk): Promise<number[]> {
    const areas: number[] = [];
    for (let startOffset = 0; startOffset < 1 << 20; ) {
      const info = (await this.daemon.call(this.machine, 'QueryChangedDiskAreas', {
        ...(snapshot === undefined ? {} : { snapshot }),
        deviceKey: key,
        startOffset,
        changeId,
      })) as DiskChangeInfo;
      assert.equal(Number(info.startOffset), startOffset);
      for (const { start, length } of info.changedArea ?? [])
        for (let at = Number(start); at < Number(start) + Number(length); at += grain) areas.push(at / grain);
      startOffset += Number(info.length);
    }
    return areas;
  }

  refused(changeId: string | undefined, snapshot?: Snapshot, key = firstDisk): Promise<void> {
    return assert.rejects(this.changed(changeId, snapshot, key), { type: 'FileFault' });
  }
}
