import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { ManagedObjectReference, VirtualMachineSnapshotTree } from '@hypostyle/vim';
import { Computer, type Daemon, smallMachine, vmFolder } from './host-fixture.ts';

type Machine = ManagedObjectReference<'VirtualMachine'>;
type Snapshot = ManagedObjectReference<'VirtualMachineSnapshot'>;

/** A machine `web` with one disk, off, of a computer with fakes, for the time of a test. */
export async function withMachine(t: TestContext) {
  const computer = await Computer.make();
  const daemon = await computer.start();
  t.after(async () => {
    await daemon.host.close().catch(() => {});
    await computer.remove();
  });
  const web = (await daemon.task(vmFolder, 'CreateVM_Task', smallMachine('web'))) as Machine;
  const folder = join(computer.datastore, 'web');
  const lock = join(folder, '.hypo', 'vm.lck');
  const take = (name: string, more: Record<string, unknown> = {}) =>
    daemon.task(web, 'CreateSnapshot_Task', { name, memory: false, quiesce: false, ...more }) as Promise<Snapshot>;
  return {
    computer,
    daemon,
    web,
    folder,
    lock,
    take,
    write: (block: number, value: number) => computer.engines.write(lock, 'scsi0u0', block, value),
    read: (block: number) => computer.engines.read(lock, 'scsi0u0', block),
    diskName: async () =>
      /^scsi0:0\.fileName = "(.*)"/m.exec(await readFile(join(folder, 'web.vmx'), 'utf8'))?.[1] ?? '',
  };
}

/** Names of a machine's snapshots; one with children is an array that begins with its name. */
export function snapshotTree(daemon: Daemon, machine: Machine): unknown[] {
  return shape(daemon.read(machine, 'snapshot')?.rootSnapshotList);
}

function shape(trees: readonly VirtualMachineSnapshotTree[] = []): unknown[] {
  return trees.map(({ name, childSnapshotList }) => (childSnapshotList ? [name, ...shape(childSnapshotList)] : name));
}
