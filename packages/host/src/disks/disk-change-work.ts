import {
  type DiskChange,
  defragmentVirtualDisk,
  extendVirtualDisk,
  faults,
  inflateVirtualDisk,
  readVirtualDisk,
  setVirtualDiskUuid,
  shrinkVirtualDisk,
  zeroFillVirtualDisk,
} from '@hypostyle/services';
import type { Call, ManagedObjectReference, RunningTask } from '@hypostyle/vim';
import { spaceOf } from '../datastore/datastores.ts';
import type { HostCore } from '../host-core.ts';
import { refreshMachine } from '../machine/snapshot/refresh-machine.ts';
import { type DiskUse, filesOfChain, holdersOf, type LockedDisk } from './disk-locks.ts';
import { checkedCapacity, holdingDisks, outcomeOf, placeOf } from './disk-work.ts';

type Task = Promise<ManagedObjectReference<'Task'>>;

interface ChangeInput {
  readonly name: string;
}

interface ExtendInput extends ChangeInput {
  readonly capacityBytes: number;
  readonly eagerZero: boolean;
}

interface UuidInput extends ChangeInput {
  readonly uuid: string;
}

/** Work on disks of datastores where they lie. */
export interface DiskChangeWork {
  extend(call: Call, name: string, newCapacityKb: unknown, eagerZero: boolean): Task;
  inflate(call: Call, name: string): Task;
  eagerZero(call: Call, name: string): Task;
  shrink(call: Call, name: string): Task;
  defragment(call: Call, name: string): Task;
  zeroFill(call: Call, name: string): Task;
  /** Done when it resolves. */
  setUuid(call: Call, name: string, uuid: string): Promise<void>;
}

export function defineDiskChangeWork(core: HostCore): DiskChangeWork {
  const define = <Input extends ChangeInput>(
    kind: string,
    method: `${string}VirtualDisk_Task` | undefined,
    use: DiskUse,
    work: (change: DiskChange, input: Input) => Promise<void>,
  ) => {
    const run = (task: RunningTask, input: Input) =>
      changeDisk(core, task, { name: input.name, use, work: (change) => work(change, input) });
    return core.tasks.define<Input>(`VirtualDiskManager.${kind}`, {
      ...(method === undefined ? {} : { method: method as 'InflateVirtualDisk_Task' }),
      heavy: method !== undefined,
      cancelable: method !== undefined,
      run,
      // Each of them goes on where it was cut off when it is begun again.
      resume: run,
    });
  };
  const extend = define<ExtendInput>('extendVirtualDisk', 'ExtendVirtualDisk_Task', 'change', (change, input) =>
    extendVirtualDisk({ ...change, ...input }),
  );
  const inflate = define('inflateVirtualDisk', 'InflateVirtualDisk_Task', 'arrange', inflateVirtualDisk);
  const eagerZero = define('eagerZeroVirtualDisk', 'EagerZeroVirtualDisk_Task', 'arrange', inflateVirtualDisk);
  const shrink = define('shrinkVirtualDisk', 'ShrinkVirtualDisk_Task', 'arrange', shrinkVirtualDisk);
  const defragment = define('defragmentVirtualDisk', 'DefragmentVirtualDisk_Task', 'arrange', defragmentVirtualDisk);
  const zeroFill = define('zeroFillVirtualDisk', 'ZeroFillVirtualDisk_Task', 'change', zeroFillVirtualDisk);
  const setUuid = define<UuidInput>('setVirtualDiskUuid', undefined, 'arrange', (change, { uuid }) =>
    setVirtualDiskUuid(change, uuid),
  );
  const start =
    (work: typeof inflate) =>
    async (call: Call, name: string): Task =>
      work(call, { input: { name }, ...(await placeOf(core, name)) });
  return {
    extend: async (call, name, newCapacityKb, eager) => {
      const capacityBytes = checkedCapacity(newCapacityKb, 'newCapacityKb');
      const { datastore, path } = core.datastores.parse(name);
      const space = await spaceOf(datastore);
      if (space !== undefined && capacityBytes > space.capacityBytes)
        throw faults.noSpace(datastore.format(path), datastore.name);
      return extend(call, { input: { name, capacityBytes, eagerZero: eager }, ...(await placeOf(core, name)) });
    },
    inflate: start(inflate),
    eagerZero: start(eagerZero),
    shrink: start(shrink),
    defragment: start(defragment),
    zeroFill: start(zeroFill),
    setUuid: async (call, name, uuid) => {
      await outcomeOf(core, await setUuid(call, { input: { name, uuid }, ...(await placeOf(core, name)) }));
    },
  };
}

async function changeDisk(
  core: HostCore,
  task: RunningTask,
  { name, use, work }: { readonly name: string; readonly use: DiskUse; work(change: DiskChange): Promise<void> },
): Promise<void> {
  const { datastore, path } = core.datastores.parseOfTask(name);
  const files = filesOfChain(datastore, await readVirtualDisk(datastore, path), use);
  const disk: LockedDisk = { datastore, path, files };
  await holdingDisks(core, task, [{ disk, use }], async () => {
    if (use === 'change') await forgetChanges(core, disk);
    await work({
      root: datastore,
      path,
      // What it lies on may have changed before it was held.
      chain: await readVirtualDisk(datastore, path),
      signal: task.signal,
      onProgress: (fraction) => task.progress(Math.floor(fraction * 95)),
    });
  });
  for (const { id } of holdersOf(core, disk)) await refreshMachine(core, id);
}

/** What is known of the changes of a machine's disk is over where it changes in another way. */
async function forgetChanges(core: HostCore, { datastore, path, files }: LockedDisk): Promise<void> {
  for (const machine of holdersOf(core, { datastore, path, files }))
    for (const [key, { chain }] of machine.disks)
      if (chain.some((link) => link.includes(path))) await core.changes.end(machine.id, key);
}
