import { randomBytes } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { joinPath, readDiskChain, splitPath } from '@hypostyle/services';
import { fault, type RunningTask } from '@hypostyle/vim';
import { configurationFromVmx } from '../../configuration/from-vmx.ts';
import type { MachineConfiguration } from '../../configuration/machine-configuration.ts';
import type { HostCore } from '../../host-core.ts';
import { vAppPath } from '../../vapp/vapp-file.ts';
import { maximumVmxBytes, VmxFile } from '../../vmx/vmx-file.ts';
import { engineFound } from '../engine/engine-found.ts';
import type { MachineWatch } from '../engine/machine-watch.ts';
import { listFiles } from '../files/list-files.ts';
import { diskPath, readVmx, syncFolder } from '../files/machine-files.ts';
import { isThere, suspendKey } from '../power/memory-image.ts';
import { heldFiles } from '../record/held-files.ts';
import type { MachineRecord, PowerState } from '../record/machine-record.ts';
import { readMachine, saveRuntime } from '../registration/registration.ts';
import { releasedFiles } from './disk-forest.ts';
import { checkReadable } from './merge-disks.ts';
import {
  makeDeltas,
  nameDeltas,
  namesDeltas,
  type PlannedDelta,
  planDeltas,
  removeDeltas,
  snapshotDisks,
} from './planned-deltas.ts';
import { refreshMachine } from './refresh-machine.ts';
import { removeFiles } from './remove-files.ts';
import { checkSnapshots, snapshotFault } from './snapshot-faults.ts';
import { readVmsd, readVmsn, shareFile, vmsdPath, writeVmsd } from './snapshot-files.ts';
import { findSnapshot, type SnapshotEntry } from './snapshot-list.ts';
import { allDone, StagedFiles } from './staged-files.ts';
import { formatVmsd } from './vmsd-file.ts';
import type { SnapshotState } from './vmsn-file.ts';

export interface RevertInput {
  readonly id: string;
  /** The current snapshot when it is left out. */
  readonly uid?: number;
  /** A machine that ran when the snapshot was taken is not started: it is suspended, with its memory. */
  readonly suppressPowerOn?: boolean;
}

/** What a revert needs of the rest of the host. */
export interface RevertParts {
  readonly core: HostCore;
  readonly watch: MachineWatch;
  /** Starts a machine within a task; content with one that runs already. */
  readonly powerOn: (task: RunningTask, id: string) => Promise<void>;
}

/** Written down before the first file is made. */
interface RevertJournal {
  readonly uid: number;
  readonly deltas: readonly PlannedDelta[];
  /** Memory image that belongs to the disks of the snapshot, under a name of its own. */
  readonly image: string | undefined;
  /** Memory of the machine as it is, which belongs to disks that go. */
  readonly oldImage: string | undefined;
  /** Files that nothing reads any more once the `.vmx` names the deltas; paths of the datastore. */
  readonly released: readonly string[];
  /** The machine goes on with its memory once it is what it was. */
  readonly starts?: boolean;
  /** It is what it was, suspended: only its start is left. */
  readonly concluded?: boolean;
}

/** What of a machine a revert does not bring back: who it is, and how it is called. */
const lasting = ['displayName', 'uuid.bios', 'uuid.location', 'vc.uuid', 'template'];

/**
 * Makes the machine what it was: its configuration, new deltas over the disks of the snapshot, and its memory where the
 * snapshot has that. A machine that runs is ended. The `.vmx` is the moment: before it a restart begins anew, after it
 * the rest is done. `isAgain`: an earlier process may have done some of it; otherwise what is journaled is the plan alone.
 */
export async function revertToSnapshot(
  parts: RevertParts,
  task: RunningTask,
  input: RevertInput,
  { isAgain }: { readonly isAgain: boolean },
): Promise<void> {
  const { core } = parts;
  if (isAgain) await engineFound(core, task, input.id);
  const machine = core.machines.get({ type: 'VirtualMachine', value: input.id });
  const journaled = task.journaled as RevertJournal | undefined;
  const known = isAgain ? journaled : undefined;
  let plan: RevertJournal;
  try {
    if (known !== undefined && (await isDone(core, machine, known))) plan = known;
    else {
      if (known !== undefined && !known.concluded) await undo(machine, known);
      checkSnapshots(machine);
      plan = await revert(parts, task, machine, { input, planned: isAgain ? undefined : journaled });
    }
    if (!plan.concluded) await conclude(core, machine, plan);
  } catch (error) {
    throw snapshotFault(error, machine);
  }
  if (!plan.starts) return;
  if (!plan.concluded) await task.journal({ ...plan, concluded: true } satisfies RevertJournal);
  // Its faults are those of a start; the machine stays suspended then, and can be started again.
  await parts.powerOn(task, machine.id);
}

async function revert(
  { core, watch }: RevertParts,
  task: RunningTask,
  machine: MachineRecord,
  { input, planned }: { readonly input: RevertInput; readonly planned: RevertJournal | undefined },
): Promise<RevertJournal> {
  const entry = entryOf(machine, planned?.uid ?? input.uid);
  const then = await readState(core, machine, entry);
  const plan = planned ?? (await planRevert(machine, entry, then, input));
  if (planned === undefined) await task.journal(plan);
  const staged = new StagedFiles();
  try {
    await stageThen(machine, then, plan, staged);
    // Nothing names any of these yet, so that all of them are made durable at a time.
    await allDone([
      makeDeltas(core, machine, plan.deltas),
      ...(plan.image !== undefined && entry.memoryFile !== undefined
        ? [shareFile(inFolder(machine, entry.memoryFile), inFolder(machine, plan.image))]
        : []),
      staged.whole(),
    ]);
    await syncFolder(inFolder(machine, ''));
    task.progress(30);
    const ended = await endEngine(core, watch, task, machine);
    // What changed between then and now was kept by deltas that go.
    if (machine.changes.length > 0 || machine.configuration.changeTracking) {
      await ended?.();
      await core.changes.end(machine.id);
    }
    // It is gone: that it is off is written down beside the moment.
    await allDone([staged.publish(), ...(ended === undefined ? [] : [ended()])]);
    return plan;
  } catch (error) {
    await staged.discard();
    // What the `.vmx` names already is needed, and a restart does the rest.
    if (!(await isReverted(core, machine, plan).catch(() => true))) await undo(machine, plan).catch(() => {});
    throw error;
  }
}

interface Then {
  readonly state: SnapshotState;
  readonly vmx: VmxFile;
  readonly configuration: MachineConfiguration;
}

function entryOf({ snapshots }: MachineRecord, uid: number | undefined): SnapshotEntry {
  const wanted = uid ?? snapshots.current;
  const entry = wanted === undefined ? undefined : findSnapshot(snapshots.entries, wanted);
  if (entry === undefined) throw fault('NotFound', {}, 'The machine has no such snapshot.');
  return entry;
}

/** The machine as it was, with all that its disks need still there. */
async function readState(core: HostCore, machine: MachineRecord, entry: SnapshotEntry): Promise<Then> {
  const { datastore, vmxPath } = machine;
  const state = await readVmsn(datastore, vmxPath, entry.fileName);
  const vmx = VmxFile.parse(state.vmx.subarray(0, maximumVmxBytes + 1), entry.fileName);
  const now = await readVmx(datastore, vmxPath);
  for (const key of lasting) {
    // A guest that goes on has seen who its machine is.
    if (key === 'uuid.bios' && entry.memoryFile !== undefined) continue;
    const value = now.get(key);
    if (value === undefined) vmx.delete(key);
    else vmx.set(key, value);
  }
  vmx.delete(suspendKey);
  const configuration = configurationFromVmx(vmx, core.guestOs, machine.configuration.name);
  for (const { fileName } of configuration.disks) {
    await readDiskChain(diskPath(datastore, vmxPath, fileName), {
      allowOutside: (path) => datastore.holds(path),
    });
  }
  return { state, vmx, configuration };
}

/** What a revert is to make; changes nothing. */
export async function planReverting(core: HostCore, input: RevertInput): Promise<RevertJournal> {
  const machine = core.machines.get({ type: 'VirtualMachine', value: input.id });
  checkSnapshots(machine);
  const entry = entryOf(machine, input.uid);
  return await planRevert(machine, entry, await readState(core, machine, entry), input);
}

async function planRevert(
  machine: MachineRecord,
  entry: SnapshotEntry,
  then: Then,
  { suppressPowerOn = false }: RevertInput,
): Promise<RevertJournal> {
  const { vmxPath, snapshots } = machine;
  const deltas = await planDeltas(machine, snapshotDisks(then.configuration));
  const stem = splitPath(vmxPath).name.replace(/\.vmx$/i, '');
  const image = entry.memoryFile === undefined ? undefined : `${stem}-${randomBytes(4).toString('hex')}.vmss`;
  // What lies on no snapshot is let go of, and its files stay: they are the only ones that have its bytes.
  checkReadable({ disks: new Map(), snapshots });
  const held = heldFiles({ disks: new Map(), snapshots });
  const disks = new Map([...machine.disks].filter(([, { chain }]) => chain.some(([path]) => held.has(path ?? ''))));
  const released = releasedFiles({ disks, snapshots }, { disks: new Map(), snapshots });
  const oldImage = splitPath((await readVmx(machine.datastore, vmxPath)).get(suspendKey) ?? '').name || undefined;
  const starts = image !== undefined && entry.state === 'poweredOn' && !suppressPowerOn;
  return { uid: entry.uid, deltas, image, oldImage, released, starts };
}

/** Whether an earlier process came to the moment, or beyond it. */
function isDone(core: HostCore, machine: MachineRecord, known: RevertJournal): boolean | Promise<boolean> {
  if (!known.concluded) return isReverted(core, machine, known);
  // An engine that ended with the memory that it was given has used it up: all of it is done again.
  if (machine.powerState !== 'suspended' || known.image === undefined) return machine.powerState === 'poweredOn';
  return isThere(inFolder(machine, known.image));
}

async function isReverted(core: HostCore, machine: MachineRecord, { deltas }: RevertJournal): Promise<boolean> {
  const vmx = await readVmx(machine.datastore, machine.vmxPath);
  // Without a disk nothing in the `.vmx` says so: it is done again, to the same end.
  return deltas.length > 0 && namesDeltas(vmx, configurationFromVmx(vmx, core.guestOs, ''), deltas);
}

async function undo(machine: MachineRecord, { deltas, image }: RevertJournal): Promise<void> {
  await removeDeltas(machine, deltas);
  if (image !== undefined) await rm(inFolder(machine, image), { force: true });
}

/** Resolves when nothing of an engine is left; the answer says so to all, where there was one. */
async function endEngine(
  core: HostCore,
  watch: MachineWatch,
  task: RunningTask,
  machine: MachineRecord,
): Promise<(() => Promise<void>) | undefined> {
  const engine = core.machines.engine(machine.id);
  if (engine === undefined) {
    // An engine that is out of reach may be writing.
    if (core.machines.find(machine.id)?.powerState === 'poweredOn')
      throw fault('InvalidState', {}, machine.problem ?? 'The engine of the machine cannot be reached.');
    return undefined;
  }
  watch.expectEnd(machine.id, (draft) => task.post(draft, { type: 'VmPoweredOffEvent', entity: machine.ref }));
  try {
    await engine.powerOff();
  } catch (error) {
    if (engine.state !== 'stopped') {
      watch.expectNothing(machine.id);
      throw error;
    }
  }
  return () => watch.ended(machine.id, 'requested');
}

/** Writes what the machine was beside what it is, to take its place; the `.vmx` before the list. */
async function stageThen(
  { datastore, vmxPath }: MachineRecord,
  { state, vmx, configuration }: Then,
  plan: RevertJournal,
  staged: StagedFiles,
): Promise<void> {
  const { folder } = splitPath(vmxPath);
  const nvram = splitPath(configuration.nvram).name;
  if (state.nvram !== undefined && nvram !== '') staged.add(datastore.absolute(joinPath(folder, nvram)), state.nvram);
  if (state.vApp !== undefined) {
    const path = datastore.absolute(joinPath(folder, vAppPath));
    await mkdir(dirname(path), { recursive: true });
    staged.add(path, state.vApp);
  }
  nameDeltas(vmx, configuration, plan.deltas, 'name');
  if (plan.image !== undefined) vmx.set(suspendKey, plan.image);
  staged.add(datastore.absolute(vmxPath), vmx.toString());
  const { list, file } = await readVmsd(datastore, vmxPath);
  if (list.current !== plan.uid)
    staged.add(datastore.absolute(vmsdPath(vmxPath)), formatVmsd({ ...list, current: plan.uid }, file));
}

async function conclude(core: HostCore, before: MachineRecord, plan: RevertJournal): Promise<void> {
  const { datastore, vmxPath, id } = before;
  const powerState: PowerState = plan.image === undefined ? 'poweredOff' : 'suspended';
  const suspendTime = plan.image === undefined ? undefined : new Date().toISOString();
  const { list } = await readVmsd(datastore, vmxPath);
  if (list.current !== plan.uid) await writeVmsd(datastore, vmxPath, { ...list, current: plan.uid });
  const known = core.machines.get(before.ref);
  const [facts] = await Promise.all([
    readMachine(core, datastore, vmxPath),
    // One that is off is written down as that already.
    ...(powerState === 'poweredOff' && known.powerState === 'poweredOff'
      ? []
      : [saveRuntime(core, id, { powerState, suspendTime })]),
  ]);
  const now = await refreshMachine(core, id, Promise.resolve(facts));
  core.registry.commit((draft) =>
    core.machines.change(
      id,
      { powerState, suspendTime, bootTime: undefined, cleanPowerOff: true, connections: new Map() },
      draft,
    ),
  );
  await removeFiles(core, now, plan.released);
  if (plan.oldImage !== undefined) await rm(inFolder(now, plan.oldImage), { force: true });
  const files = await listFiles(datastore, vmxPath, now);
  core.registry.commit((draft) => core.machines.change(id, { files }, draft));
}

function inFolder({ datastore, vmxPath }: MachineRecord, name: string): string {
  return join(datastore.absolute(splitPath(vmxPath).folder), name);
}
