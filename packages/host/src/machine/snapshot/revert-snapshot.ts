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
import type { MachineWatch } from '../engine/machine-watch.ts';
import { diskPath, readVmx, writeVmx } from '../files/machine-files.ts';
import { suspendKey } from '../power/power-on.ts';
import { heldFiles } from '../record/held-files.ts';
import type { MachineRecord, PowerState } from '../record/machine-record.ts';
import { saveRuntime } from '../registration/registration.ts';
import {
  makeDeltas,
  nameDeltas,
  namesDeltas,
  type PlannedDelta,
  planDeltas,
  removeDeltas,
  snapshotDisks,
} from './create-snapshot.ts';
import { releasedFiles } from './disk-forest.ts';
import { checkReadable } from './merge-disks.ts';
import { refreshMachine } from './refresh-machine.ts';
import { removeFiles } from './remove-files.ts';
import { checkSnapshots, snapshotFault } from './snapshot-faults.ts';
import { readVmsd, readVmsn, shareFile, writeVmsd, writeWhole } from './snapshot-files.ts';
import { findSnapshot, type SnapshotEntry } from './snapshot-list.ts';
import type { SnapshotState } from './vmsn-file.ts';

export interface RevertInput {
  readonly id: string;
  /** The current snapshot when it is left out. */
  readonly uid?: number;
}

/** Written down before the first file is made. */
interface RevertJournal {
  readonly uid: number;
  readonly deltas: readonly PlannedDelta[];
  /** Memory image of the machine that was suspended when the snapshot was taken, under a name of its own. */
  readonly image: string | undefined;
  /** Memory of the machine as it is, which belongs to disks that go. */
  readonly oldImage: string | undefined;
  /** Files that nothing reads any more once the `.vmx` names the deltas; paths of the datastore. */
  readonly released: readonly string[];
}

/** What of a machine a revert does not bring back: who it is, and how it is called. */
const lasting = ['displayName', 'uuid.bios', 'uuid.location', 'vc.uuid', 'template'];

/**
 * Makes the machine what it was: its configuration, and new deltas over the disks of the snapshot. A machine that runs
 * is ended. The `.vmx` is the moment: before it a restart begins anew, after it the rest is done.
 */
export async function revertToSnapshot(
  core: HostCore,
  watch: MachineWatch,
  task: RunningTask,
  input: RevertInput,
): Promise<void> {
  const machine = core.machines.get({ type: 'VirtualMachine', value: input.id });
  checkSnapshots(machine);
  try {
    const known = task.journaled as RevertJournal | undefined;
    if (known !== undefined) {
      if (await isReverted(core, machine, known)) return await conclude(core, task, machine, known);
      await undo(machine, known);
    }
    const entry = entryOf(machine, input.uid);
    const then = await readState(core, machine, entry);
    const plan = await planRevert(machine, entry, then);
    await task.journal(plan);
    try {
      await makeDeltas(core, machine, plan.deltas);
      if (plan.image !== undefined && entry.memoryFile !== undefined)
        await shareFile(inFolder(machine, entry.memoryFile), inFolder(machine, plan.image));
    } catch (error) {
      await undo(machine, plan).catch(() => {});
      throw error;
    }
    task.progress(30);
    await endEngine(core, watch, task, machine);
    // What changed between then and now was kept by deltas that go.
    await core.changes.end(machine.id);
    await writeThen(machine, then, plan);
    await conclude(core, task, machine, plan);
  } catch (error) {
    throw snapshotFault(error, machine);
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
    const value = now.get(key);
    if (value === undefined) vmx.delete(key);
    else vmx.set(key, value);
  }
  vmx.delete(suspendKey);
  const configuration = configurationFromVmx(vmx, core.guestOs, machine.configuration.name);
  for (const { fileName } of configuration.disks) {
    await readDiskChain(diskPath(datastore, vmxPath, fileName), {
      allowOutside: (path) => path.startsWith(`${datastore.directory}/`),
    });
  }
  return { state, vmx, configuration };
}

async function planRevert(machine: MachineRecord, entry: SnapshotEntry, then: Then): Promise<RevertJournal> {
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
  return { uid: entry.uid, deltas, image, oldImage, released };
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

async function endEngine(
  core: HostCore,
  watch: MachineWatch,
  task: RunningTask,
  machine: MachineRecord,
): Promise<void> {
  const engine = core.machines.engine(machine.id);
  if (engine === undefined) {
    // An engine that is out of reach may be writing.
    if (core.machines.find(machine.id)?.powerState === 'poweredOn')
      throw fault('InvalidState', {}, machine.problem ?? 'The engine of the machine cannot be reached.');
    return;
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
  await watch.ended(machine.id, 'requested');
}

/** Writes what the machine was over what it is; the `.vmx` last. */
async function writeThen(
  machine: MachineRecord,
  { state, vmx, configuration }: Then,
  plan: RevertJournal,
): Promise<void> {
  const { datastore, vmxPath } = machine;
  const { folder } = splitPath(vmxPath);
  const nvram = splitPath(configuration.nvram).name;
  if (state.nvram !== undefined && nvram !== '')
    await writeWhole(datastore.absolute(joinPath(folder, nvram)), state.nvram);
  if (state.vApp !== undefined) {
    const path = datastore.absolute(joinPath(folder, vAppPath));
    await mkdir(dirname(path), { recursive: true });
    await writeWhole(path, state.vApp);
  }
  nameDeltas(vmx, configuration, plan.deltas, 'name');
  if (plan.image !== undefined) vmx.set(suspendKey, plan.image);
  await writeVmx(datastore, vmxPath, vmx);
}

async function conclude(core: HostCore, task: RunningTask, before: MachineRecord, plan: RevertJournal): Promise<void> {
  const { datastore, vmxPath, id } = before;
  const { list } = await readVmsd(datastore, vmxPath);
  if (list.current !== plan.uid) await writeVmsd(datastore, vmxPath, { ...list, current: plan.uid });
  const powerState: PowerState = plan.image === undefined ? 'poweredOff' : 'suspended';
  const suspendTime = plan.image === undefined ? undefined : new Date().toISOString();
  await saveRuntime(core, id, { powerState, suspendTime });
  task.progress(80);
  const now = await refreshMachine(core, id);
  core.registry.commit((draft) =>
    core.machines.change(id, { powerState, suspendTime, bootTime: undefined, cleanPowerOff: true }, draft),
  );
  await removeFiles(core, now, plan.released);
  if (plan.oldImage !== undefined) await rm(inFolder(now, plan.oldImage), { force: true });
  await refreshMachine(core, id);
}

function inFolder({ datastore, vmxPath }: MachineRecord, name: string): string {
  return join(datastore.absolute(splitPath(vmxPath).folder), name);
}
