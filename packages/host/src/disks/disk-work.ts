import {
  checkDiskName,
  copyVirtualDisk,
  createVirtualDisk,
  type DiskForm,
  deleteMoved,
  deleteVirtualDisk,
  diskForm,
  faults,
  finishRename,
  moveVirtualDisk,
  readVirtualDisk,
  refuseProfile,
  resolveInRoot,
  undoStaged,
} from '@hypostyle/services';
import {
  type Call,
  type ManagedObjectReference,
  type RunningTask,
  VimFault,
  type VirtualDiskSpec,
} from '@hypostyle/vim';
import type { Datastore } from '../datastore/datastore.ts';
import { spaceOf } from '../datastore/datastores.ts';
import type { HostCore } from '../host-core.ts';
import { checkDisk, type DiskUse, filesOfChain, holdersOf, type LockedDisk, lockDisks } from './disk-locks.ts';

type Task = Promise<ManagedObjectReference<'Task'>>;

/** Where a task is, as it is written down. */
interface DiskJournal {
  readonly step: 'making' | 'renaming' | 'moved';
  readonly staging?: string;
  readonly placing?: readonly string[];
}

interface CreateInput {
  readonly name: string;
  readonly spec: { readonly diskType: string; readonly adapterType: string };
  readonly capacityBytes: number;
}

interface TransferInput {
  readonly source: string;
  readonly target: string;
  readonly force: boolean;
  /** Of a copy; none: as the specification has it. */
  readonly form?: DiskForm | undefined;
}

/** Work that makes, copies, moves and deletes disks of datastores. */
export interface DiskWork {
  create(call: Call, name: string, spec: VirtualDiskSpec): Task;
  copy(call: Call, names: Names, spec: VirtualDiskSpec | undefined): Task;
  move(call: Call, names: Names, profile: readonly unknown[] | undefined): Task;
  delete(call: Call, name: string): Task;
  /** Gone when it resolves. */
  deleteNow(call: Call, name: string): Promise<void>;
}

interface Names {
  readonly sourceName: string;
  readonly destName: string;
  readonly force: boolean;
}

const kibibyte = 1024;
/** 62 TiB, as DatastoreInfo says. */
const largestDisk = 62 * 2 ** 40;
const smallestDisk = 2 ** 20;

export function defineDiskWork(core: HostCore): DiskWork {
  const create = core.tasks.define<CreateInput>('VirtualDiskManager.createVirtualDisk', {
    method: 'CreateVirtualDisk_Task',
    heavy: true,
    cancelable: true,
    run: (task, input) => createDisk(core, task, input),
    resume: (task, input) => afterMaking(core, task, input.name, () => createDisk(core, task, input)),
  });
  const copy = core.tasks.define<TransferInput>('VirtualDiskManager.copyVirtualDisk', {
    method: 'CopyVirtualDisk_Task',
    heavy: true,
    cancelable: true,
    run: (task, input) => copyDisk(core, task, input),
    resume: (task, input) => afterMaking(core, task, input.target, () => copyDisk(core, task, input)),
  });
  const move = core.tasks.define<TransferInput>('VirtualDiskManager.moveVirtualDisk', {
    method: 'MoveVirtualDisk_Task',
    heavy: true,
    cancelable: true,
    run: (task, input) => moveDisk(core, task, input),
    resume: (task, input) => goOnMoving(core, task, input),
  });
  const remove = core.tasks.define<{ readonly name: string }>('VirtualDiskManager.deleteVirtualDisk', {
    method: 'DeleteVirtualDisk_Task',
    run: (task, { name }) => deleteDisk(core, task, name),
    resume: async (task, { name }) => {
      try {
        await deleteDisk(core, task, name);
      } catch (error) {
        if (!isMissing(error)) throw error;
      }
    },
  });
  return {
    create: (call, name, spec) => {
      const { datastore, path } = core.datastores.parse(name);
      checkDiskName(datastore, path);
      diskForm(spec, 'spec');
      const { diskType, adapterType } = spec;
      const input = { name, spec: { diskType, adapterType }, capacityBytes: capacityOf(spec) };
      return create(call, { input, entity: datastore.ref, entityName: datastore.name });
    },
    copy: async (call, { sourceName, destName, force }, spec) => {
      const form = spec === undefined ? undefined : diskForm(spec, 'destSpec');
      const input = { source: sourceName, target: destName, force, form };
      return copy(call, { input, ...(await placeOf(core, sourceName, destName)) });
    },
    move: async (call, { sourceName, destName, force }, profile) => {
      refuseProfile(profile);
      const input = { source: sourceName, target: destName, force };
      return move(call, { input, ...(await placeOf(core, sourceName, destName)) });
    },
    delete: async (call, name) => remove(call, { input: { name }, ...(await placeOf(core, name)) }),
    deleteNow: async (call, name) => {
      await outcomeOf(core, await remove(call, { input: { name }, ...(await placeOf(core, name)) }));
    },
  };
}

/** What a task on a disk is about; a machine that has the disk is worked on in its turn. */
export async function placeOf(core: HostCore, name: string, target?: string) {
  const { datastore, path } = core.datastores.parse(name);
  checkDiskName(datastore, path);
  const place = target === undefined ? { datastore, path } : core.datastores.parse(target);
  checkDiskName(place.datastore, place.path);
  const chain = await readVirtualDisk(datastore, path).catch(() => undefined);
  const files = chain === undefined ? [path] : filesOfChain(datastore, chain, 'change');
  const [holder] = holdersOf(core, { datastore, path, files });
  return {
    entity: place.datastore.ref,
    entityName: place.datastore.name,
    ...(holder === undefined ? {} : { queueKey: holder.id }),
  };
}

/** A disk and those who have it to themselves; what cannot be read is as much as its name says. */
async function lockedDisk(datastore: Datastore, path: string): Promise<LockedDisk> {
  const chain = await readVirtualDisk(datastore, path).catch(() => undefined);
  return { datastore, path, files: chain === undefined ? [path] : filesOfChain(datastore, chain, 'change') };
}

/** Does work that has disks to itself. */
export async function holdingDisks<R>(
  core: HostCore,
  task: RunningTask,
  disks: readonly { readonly disk: LockedDisk; readonly use: DiskUse }[],
  work: () => Promise<R>,
): Promise<R> {
  for (const { disk, use } of disks) await checkDisk(core, disk, use);
  for (const { disk } of disks) core.datastores.checkStays(disk.datastore);
  const release = lockDisks(core, task.ref, disks);
  try {
    return await work();
  } finally {
    release();
  }
}

async function createDisk(core: HostCore, task: RunningTask, input: CreateInput): Promise<string> {
  const { datastore, path } = core.datastores.parseOfTask(input.name);
  const { capacityBytes } = input;
  const space = await spaceOf(datastore);
  // A thin disk may be larger than what is free, but not than the whole datastore: it could never be filled.
  if (space !== undefined && capacityBytes > space.capacityBytes)
    throw faults.noSpace(datastore.format(path), datastore.name);
  await holdingDisks(core, task, [{ disk: { datastore, path, files: [path] }, use: 'change' }], () =>
    createVirtualDisk({
      root: datastore,
      path,
      replace: false,
      capacityBytes,
      form: diskForm(input.spec, 'spec'),
      signal: task.signal,
      onProgress: (fraction) => task.progress(Math.floor(fraction * 95)),
      journal: (step) => task.journal({ step: 'making', ...step } satisfies DiskJournal),
    }),
  );
  return datastore.format(path);
}

async function copyDisk(core: HostCore, task: RunningTask, { source, target, force, form }: TransferInput) {
  const from = core.datastores.parseOfTask(source);
  const to = core.datastores.parseOfTask(target);
  if (from.datastore === to.datastore && from.path === to.path)
    throw faults.invalidPath(to.datastore.format(to.path), 'it is the source itself');
  const chain = await readVirtualDisk(from.datastore, from.path);
  const disks = [
    { disk: { ...from, files: filesOfChain(from.datastore, chain, 'read') }, use: 'read' },
    { disk: await lockedDisk(to.datastore, to.path), use: 'change' },
  ] as const;
  await holdingDisks(core, task, disks, async () =>
    copyVirtualDisk({
      // What it lies on may have changed before it was held.
      source: await readVirtualDisk(from.datastore, from.path),
      sourceRoot: from.datastore,
      root: to.datastore,
      path: to.path,
      replace: force,
      form: form ?? { kind: 'vmfs', allocation: 'thick', adapter: adapterOf(chain) },
      images: core.hypervisor.images,
      signal: task.signal,
      onProgress: (fraction) => task.progress(Math.floor(fraction * 95)),
      journal: (step) => task.journal({ step: 'making', ...step } satisfies DiskJournal),
    }),
  );
  return to.datastore.format(to.path);
}

async function moveDisk(core: HostCore, task: RunningTask, { source, target, force }: TransferInput): Promise<string> {
  const from = core.datastores.parseOfTask(source);
  const to = core.datastores.parseOfTask(target);
  const chain = await readVirtualDisk(from.datastore, from.path);
  const disks = [
    { disk: { ...from, files: filesOfChain(from.datastore, chain, 'change') }, use: 'change' },
    ...(from.datastore === to.datastore && from.path === to.path
      ? []
      : [{ disk: await lockedDisk(to.datastore, to.path), use: 'change' } as const]),
  ] as const;
  await holdingDisks(core, task, disks, async () =>
    moveVirtualDisk({
      source: await readVirtualDisk(from.datastore, from.path),
      sourceRoot: from.datastore,
      root: to.datastore,
      path: to.path,
      replace: force,
      images: core.hypervisor.images,
      signal: task.signal,
      onProgress: (fraction) => task.progress(Math.floor(fraction * 95)),
      journal: (step) => task.journal({ step: 'making', ...step } satisfies DiskJournal),
      renaming: () => task.journal({ step: 'renaming' } satisfies DiskJournal),
      moved: () => task.journal({ step: 'moved' } satisfies DiskJournal),
    }),
  );
  return to.datastore.format(to.path);
}

async function goOnMoving(core: HostCore, task: RunningTask, input: TransferInput): Promise<string> {
  const from = core.datastores.parseOfTask(input.source);
  const to = core.datastores.parseOfTask(input.target);
  const done = to.datastore.format(to.path);
  const { step } = (task.journaled ?? {}) as Partial<DiskJournal>;
  const whole = step === 'making' && (await cleared(core, task, input.target));
  if (step === undefined || (step === 'making' && !whole)) return moveDisk(core, task, input);
  const old = await resolveInRoot(from.datastore, from.path);
  if (step === 'renaming') await finishRename(old, await resolveInRoot(to.datastore, to.path));
  else await deleteMoved(old);
  return done;
}

async function deleteDisk(core: HostCore, task: RunningTask, name: string): Promise<void> {
  const { datastore, path } = core.datastores.parseOfTask(name);
  const full = await resolveInRoot(datastore, path);
  await holdingDisks(core, task, [{ disk: await lockedDisk(datastore, path), use: 'change' }], () =>
    deleteVirtualDisk(datastore, path, full),
  );
}

/** Goes on after a restart: what is whole stays, what is not is made anew. */
async function afterMaking(
  core: HostCore,
  task: RunningTask,
  target: string,
  again: () => Promise<string>,
): Promise<string> {
  if (!(await cleared(core, task, target))) return again();
  const { datastore, path } = core.datastores.parseOfTask(target);
  return datastore.format(path);
}

/** Clears away what the last process made in part; true where it was whole. */
async function cleared(core: HostCore, task: RunningTask, target: string): Promise<boolean> {
  const { staging, placing } = (task.journaled ?? {}) as Partial<DiskJournal>;
  if (staging === undefined) return false;
  const { datastore, path } = core.datastores.parseOfTask(target);
  return undoStaged(await resolveInRoot(datastore, path), {
    staging,
    ...(placing === undefined ? {} : { placing }),
  });
}

function capacityOf(spec: VirtualDiskSpec & { readonly capacityKb?: unknown }): number {
  if (spec.capacityKb === undefined)
    throw faults.invalidArgument('spec', 'The specification of a disk in files says its capacity.');
  return checkedCapacity(spec.capacityKb, 'spec.capacityKb');
}

/** Bytes of a capacity in KiB; InvalidArgument for one that no disk has. */
export function checkedCapacity(capacityKb: unknown, argument: string): number {
  const bytes = Number(capacityKb) * kibibyte;
  if (!Number.isSafeInteger(bytes) || bytes < smallestDisk || bytes > largestDisk)
    throw faults.invalidArgument(argument, 'A disk has from 1 MiB to 62 TiB.');
  return bytes;
}

function adapterOf({ links }: Awaited<ReturnType<typeof readVirtualDisk>>): DiskForm['adapter'] {
  const named = links.at(-1)?.descriptor.ddb.get('adapterType');
  return named === 'ide' || named === 'buslogic' || named === 'legacyESX' ? named : 'lsilogic';
}

/** Waits for a task's end; throws its fault. */
export async function outcomeOf(core: HostCore, task: ManagedObjectReference<'Task'>): Promise<void> {
  const { error } = await core.tasks.finished(task);
  if (error !== undefined)
    throw new VimFault(error.fault._typeName ?? 'SystemError', error.fault, error.localizedMessage ?? 'It failed.');
}

function isMissing(error: unknown): boolean {
  return error instanceof VimFault && error.type === 'FileNotFound';
}
