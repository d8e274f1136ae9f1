import { createHash } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { HypervisorError } from '@hypostyle/contracts';
import {
  type DiskChain,
  faults,
  joinPath,
  newContentId,
  parentOf,
  readDiskChain,
  relinkDelta,
  renewParent,
  splitPath,
} from '@hypostyle/services';
import { fault, type RunningTask } from '@hypostyle/vim';
import { configurationFromVmx } from '../../configuration/from-vmx.ts';
import type { HostCore } from '../../host-core.ts';
import { VmxFile } from '../../vmx/vmx-file.ts';
import type { MachineWatch } from '../engine/machine-watch.ts';
import { readVmx, writeVmx } from '../files/machine-files.ts';
import { diskIdOf, driveNode } from '../power/hardware.ts';
import { asHeld, foldersOfDisks, heldDisks } from '../record/held-files.ts';
import type { MachineRecord } from '../record/machine-record.ts';
import { machineReference } from '../registration/registration.ts';
import { diskForest, type MergePair, nextMerge } from './disk-forest.ts';
import { refreshMachine } from './refresh-machine.ts';
import { removeFiles } from './remove-files.ts';
import { isWithoutRoom } from './snapshot-faults.ts';
import { readVmsd, readVmsn, writeVmsd, writeVmsn } from './snapshot-files.ts';

/** A merge under way: written down before the first byte is moved. */
export interface MergeJournal extends MergePair {
  /** CID that the disk gets which takes the bytes. */
  readonly contentId: number;
  /** Files of the delta that goes. */
  readonly files: readonly string[];
  /** The bytes are below, and nobody writes the delta: only names are left to be changed. */
  readonly merged?: boolean;
  /** The engine writes the disk below through its image, if it keeps what changes. */
  readonly kept?: boolean;
}

export interface MergeWork {
  readonly core: HostCore;
  readonly watch: MachineWatch;
  readonly task: RunningTask;
  readonly id: string;
  /** Disks elsewhere that the machine wrote itself before a snapshot was taken of them. */
  readonly owned: ReadonlySet<string>;
  /** A merge that an earlier process began. */
  readonly begun: MergeJournal | undefined;
  /** Writes down what is about to be merged, or that nothing is. */
  journal(merge: MergeJournal | undefined): Promise<void>;
}

/** Merges every delta of a machine that nothing needs to be apart any more, one after another from the bases up. */
export async function mergeDisks(work: MergeWork): Promise<void> {
  const { core, task, id } = work;
  let machine = core.machines.get({ type: 'VirtualMachine', value: id });
  // What is not read has nothing to be merged, and yet is not done; amid a merge names do not fit, until it is taken up.
  if (work.begun === undefined) checkReadable(machine);
  const total = deltaCount(machine);
  let begun = work.begun;
  for (let done = 0; ; done += 1) {
    if (task.signal.aborted) throw task.signal.reason;
    const next = begun ?? (await nextOf(core, machine, work.owned));
    if (next === undefined) return;
    if (next !== begun) await work.journal(next);
    const report = (fraction: number) => task.progress(Math.min(95, Math.floor(((done + fraction) / total) * 95)));
    // Whoever reads disks without their engine just now is waited for.
    try {
      await core.changes.gate.exclusive(id, () => mergePair(work, next, report));
    } catch (error) {
      if (!isWithoutRoom(error)) throw error;
      const into = machine.datastore.locate(next.into);
      throw faults.noSpace(machine.datastore.format(next.into), into.datastore.name, error);
    }
    begun = undefined;
    await work.journal(undefined);
    machine = await refreshMachine(core, id);
  }
}

async function nextOf(
  core: HostCore,
  machine: MachineRecord,
  owned: ReadonlySet<string>,
): Promise<MergeJournal | undefined> {
  const others = [...core.machines.all()]
    .filter((other) => other.id !== machine.id)
    .map((other) => asHeld(other, machine.datastore));
  // Children that are registered nowhere count as well.
  const elsewhere = await core.diskChildren.held(machine.datastore, foldersOfDisks(machine));
  const pair = nextMerge(machine, [...others, ...elsewhere], owned);
  if (pair === undefined) return undefined;
  await checkNoOtherChild(machine, pair);
  const files = diskForest(heldDisks(machine)).get(pair.child)?.files ?? [];
  return { ...pair, contentId: newContentId(), files };
}

/** A delta in the folder that no machine and no snapshot names may be somebody's all the same. Throws FileLocked. */
async function checkNoOtherChild({ datastore, vmxPath }: MachineRecord, { child, into }: MergePair): Promise<void> {
  const folders = new Set([splitPath(vmxPath).folder, splitPath(into).folder]);
  const names = await Promise.all(
    [...folders].map(async (folder) =>
      (await readdir(datastore.absolute(folder))).map((name) => ({ name, path: joinPath(folder, name) })),
    ),
  );
  for (const { name, path } of names.flat()) {
    if (!/\.vmdk$/i.test(name) || /-(flat|s\d{3}|f\d{3})\.vmdk$/i.test(name) || path === child) continue;
    if ((await parentOf(datastore.absolute(path))) !== datastore.absolute(into)) continue;
    const file = datastore.format(into);
    throw fault(
      'FileLocked',
      { file },
      `The disk ${file} is the base of ${datastore.format(path)} too, which belongs to no machine here; nothing is merged into it.`,
    );
  }
}

/** Does one merge, or what is left of it. Whatever of it was done before is not done again. */
async function mergePair(work: MergeWork, merge: MergeJournal, report: (fraction: number) => void): Promise<void> {
  const { core, id } = work;
  const { datastore } = core.machines.get({ type: 'VirtualMachine', value: id });
  const link = { child: datastore.absolute(merge.child), parent: datastore.absolute(merge.into) };
  const off = core.machines.engine(id) === undefined;
  const unchanged = off
    ? await core.changes.unchangedDisks(core.machines.get(machineReference(id)))
    : new Set<string>();
  await renewParent(link, merge.contentId);
  let switched = false;
  for (let first = true; ; first = false) {
    const machine = await refreshMachine(core, id);
    checkReadable(machine);
    // Nothing names it any more: its bytes are below, and older than what was written there since.
    if (!diskForest(heldDisks(machine)).has(merge.child)) {
      if (first) await letGoOn(work, machine, merge);
      break;
    }
    const engine = core.machines.engine(id);
    const diskId = runningDisk(machine, merge.child) ?? (merge.merged ? runningDisk(machine, merge.into) : undefined);
    // What a guest writes has its names changed while it stands still.
    const isTop = [...machine.disks.values()].some(({ chain }) => chain[0]?.[0] === merge.child);
    const switchAll = async (running: boolean) => {
      if (!isTop) await work.journal({ ...merge, kept: true, merged: true });
      await (isTop && running ? switchUnderGuest : switchNames)(core, machine, merge, running);
      switched = true;
    };
    if (engine === undefined || diskId === undefined) {
      const layers = await core.changes.layersToMerge(machine, await chainOf(machine, merge.child), unchanged);
      if (!merge.merged) await core.hypervisor.images.commit({ layers, signal: work.task.signal, onProgress: report });
      await switchAll(false);
      break;
    }
    try {
      if (!merge.kept && !merge.merged) {
        await core.changes.prepareMerge(machine, engine, await commitOf(machine, merge, diskId));
        await work.journal({ ...merge, kept: true });
      }
      await engine.commitLayer({
        ...(await commitOf(machine, merge, diskId)),
        signal: work.task.signal,
        onProgress: report,
        onMerged: () => switchAll(true),
      });
      break;
    } catch (error) {
      // A guest that shut itself down meanwhile leaves two layers that are as good as one another.
      if (error instanceof HypervisorError && engine.state === 'stopped') {
        await work.watch.ended(machine.id, 'crashed');
        continue;
      }
      // Nothing names the delta any more, so nobody would find that it is to go: it would pass for a stranger's.
      if (switched) await removeFiles(core, await refreshMachine(core, id), merge.files);
      throw error;
    }
  }
  await removeFiles(core, await refreshMachine(core, id), merge.files);
  await core.changes.closeAgain(id, unchanged);
  await core.changes.forgetExpired(id);
}

/** What cannot be read names files that nobody knows of: nothing is merged or removed then. Throws FileFault. */
export function checkReadable(machine: Pick<MachineRecord, 'disks' | 'snapshots'>): void {
  const problem = heldDisks(machine).find((disk) => disk.problem !== undefined)?.problem;
  if (problem !== undefined) throw fault('FileFault', { file: '' }, problem);
}

/** As `switchNames`; what is written is written, even if its last step failed: the engine must not go back on it. */
async function switchUnderGuest(
  core: HostCore,
  machine: MachineRecord,
  merge: MergeJournal,
  running: boolean,
): Promise<void> {
  try {
    await switchNames(core, machine, merge, running);
  } catch (error) {
    const { datastore, vmxPath } = machine;
    const vmx = await readVmx(datastore, vmxPath).catch(() => undefined);
    if (vmx === undefined || switchDisks(core, machine, vmx, merge)) throw error;
    core.onDefect('a disk that was merged', error);
  }
}

/** The guest may stand still for the pivot of a process that was killed, whose work is written down already. */
async function letGoOn({ core, task }: MergeWork, machine: MachineRecord, merge: MergeJournal): Promise<void> {
  const engine = core.machines.engine(machine.id);
  const diskId = runningDisk(machine, merge.into);
  if (engine === undefined || diskId === undefined) return;
  await engine.commitLayer({
    ...(await commitOf(machine, merge, diskId)),
    signal: task.signal,
    onMerged: async () => {},
  });
}

async function commitOf(machine: MachineRecord, merge: MergeJournal, diskId: string) {
  const { datastore } = machine;
  const into = (await chainOf(machine, merge.into)).links[0].layer.path;
  const path = datastore.absolute(merge.files[1] ?? merge.child);
  const jobId = `merge-${createHash('sha1').update(merge.child).digest('hex').slice(0, 16)}`;
  // Every delta lies in the machine's folder, and so does what it is merged into.
  return { jobId, diskId, path, into, backingName: relative(dirname(path), into) };
}

/** The engine's name of the disk that has this one in its chain. */
function runningDisk({ configuration, disks }: MachineRecord, path: string): string | undefined {
  const disk = configuration.disks.find(({ key }) => disks.get(key)?.chain.some(([one]) => one === path));
  return disk === undefined ? undefined : diskIdOf(configuration, disk);
}

function chainOf({ datastore }: MachineRecord, path: string): Promise<DiskChain> {
  return readDiskChain(datastore.absolute(path), {
    allowOutside: (other) => datastore.holds(other),
  });
}

/** Everything that names the delta names what it was merged into: children, snapshots, and the machine last. */
async function switchNames(
  core: HostCore,
  machine: MachineRecord,
  merge: MergeJournal,
  running: boolean,
): Promise<void> {
  await switchChildren(core, machine, merge, running);
  await switchSnapshots(core, machine, merge);
  const { datastore, vmxPath } = machine;
  const vmx = await readVmx(datastore, vmxPath);
  if (switchDisks(core, machine, vmx, merge)) await writeVmx(datastore, vmxPath, vmx);
}

async function switchChildren(
  core: HostCore,
  machine: MachineRecord,
  { child, into, contentId }: MergeJournal,
  running: boolean,
): Promise<void> {
  const { datastore } = machine;
  const forest = diskForest(heldDisks(machine));
  const inUse = new Set(running ? [...machine.disks.values()].flatMap(({ chain }) => chain.map(([path]) => path)) : []);
  for (const path of forest.get(child)?.children ?? []) {
    const absolute = datastore.absolute(path);
    // An engine writes its own images.
    const extent = forest.get(path)?.files[1];
    if (!inUse.has(path) && extent !== undefined) {
      const { layer } = (await chainOf(machine, into)).links[0];
      await core.hypervisor.images.setBacking({
        path: datastore.absolute(extent),
        backing: { ...layer, relativePath: relative(dirname(datastore.absolute(extent)), layer.path) },
      });
    }
    await relinkDelta({ child: absolute, parent: datastore.absolute(into) }, contentId);
  }
}

async function switchSnapshots(core: HostCore, machine: MachineRecord, merge: MergeJournal): Promise<void> {
  const { datastore, vmxPath, snapshots } = machine;
  const { list } = await readVmsd(datastore, vmxPath);
  let changed = false;
  const entries = [];
  for (const entry of list.entries) {
    const holds = [...(snapshots.views.get(entry.uid)?.disks.values() ?? [])].some(
      ({ chain }) => chain[0]?.[0] === merge.child,
    );
    if (!holds) {
      entries.push(entry);
      continue;
    }
    const state = await readVmsn(datastore, vmxPath, entry.fileName);
    const vmx = VmxFile.parse(state.vmx, entry.fileName);
    if (switchDisks(core, machine, vmx, merge))
      await writeVmsn(datastore, vmxPath, entry.fileName, { ...state, vmx: Buffer.from(vmx.toString()) });
    const disks = entry.disks.map((disk) =>
      datastore.relative(vmxPath, disk.fileName) === merge.child
        ? { ...disk, fileName: nameOf(machine, merge.into) }
        : disk,
    );
    changed ||= disks.some((disk, index) => disk !== entry.disks[index]);
    entries.push({ ...entry, disks });
  }
  if (changed) await writeVmsd(datastore, vmxPath, { ...list, entries });
}

/** True when a disk of the `.vmx` was the delta. */
function switchDisks(core: HostCore, machine: MachineRecord, vmx: VmxFile, { child, into }: MergePair): boolean {
  const { datastore, vmxPath } = machine;
  const configuration = configurationFromVmx(vmx, core.guestOs, '');
  const disks = configuration.disks.filter(({ fileName }) => datastore.relative(vmxPath, fileName) === child);
  for (const disk of disks) vmx.set(`${driveNode(configuration, disk)}.fileName`, nameOf(machine, into));
  return disks.length > 0;
}

/** How a `.vmx` names a disk: bare beside it, else `/vmfs/volumes/<uuid>/…`. */
function nameOf({ datastore, vmxPath }: MachineRecord, path: string): string {
  const { folder, name } = splitPath(path);
  if (folder === splitPath(vmxPath).folder) return name;
  const at = datastore.locate(path);
  return join(at.datastore.url, at.path);
}

function deltaCount(machine: MachineRecord): number {
  const deltas = [...diskForest(heldDisks(machine)).values()].filter(({ kind }) => kind === 'delta');
  return Math.max(1, deltas.length);
}
