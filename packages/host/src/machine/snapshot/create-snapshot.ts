import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type DiskOverlay, HypervisorError, type RunningMachine } from '@hypostyle/contracts';
import {
  createDelta,
  deltaFiles,
  joinPath,
  maximumChainLength,
  nextDeltaName,
  readDiskChain,
  splitPath,
} from '@hypostyle/services';
import { fault, type RunningTask } from '@hypostyle/vim';
import type { Disk, MachineConfiguration } from '../../configuration/machine-configuration.ts';
import type { HostCore } from '../../host-core.ts';
import { vAppPath } from '../../vapp/vapp-file.ts';
import type { VmxFile } from '../../vmx/vmx-file.ts';
import { generationName } from '../changes/change-id.ts';
import type { PlannedGeneration } from '../changes/change-tracking.ts';
import { diskPath, readVmx, syncFolder, writeVmx } from '../files/machine-files.ts';
import { diskIdOf, driveNode } from '../power/hardware.ts';
import { suspendKey } from '../power/power-on.ts';
import type { MachineRecord } from '../record/machine-record.ts';
import { refreshMachine } from './refresh-machine.ts';
import { checkSnapshots, snapshotFault } from './snapshot-faults.ts';
import { readOwnFile, readVmsd, shareFile, writeVmsd, writeVmsn } from './snapshot-files.ts';
import { findSnapshot, type SnapshotEntry, withSnapshot } from './snapshot-list.ts';
import { type SnapshotReference, snapshotReference } from './snapshot-reference.ts';

export interface CreateSnapshotInput {
  readonly id: string;
  readonly name: string;
  readonly description: string;
  readonly memory: boolean;
  readonly quiesce: boolean;
}

/** A delta that takes the place of a disk in the `.vmx`. */
export interface PlannedDelta {
  /** Device key of the disk. */
  readonly key: number;
  /** As the `.vmx` names the disk that it lies on. */
  readonly over: string;
  /** As the `.vmx` is to name it: it lies in the machine's folder. */
  readonly name: string;
}

/** Written down before the first file is made. */
interface CreateJournal {
  readonly entry: Omit<SnapshotEntry, 'parent'>;
  readonly deltas: readonly PlannedDelta[];
  /** What changes from here on, on disks of which it is told. */
  readonly generations: readonly PlannedGeneration[];
}

/** Largest file of the firmware that a snapshot keeps, in bytes. */
const maximumNvramBytes = 8 << 20;
const maximumVAppBytes = 4 << 20;

/**
 * Takes a snapshot: the machine's disks stay as they are, and it goes on with a delta over each. The `.vmx` that names
 * the deltas is the moment: before it all is taken back, after it the rest is done, whatever ends the process.
 */
export async function createSnapshot(
  core: HostCore,
  task: RunningTask,
  input: CreateSnapshotInput,
): Promise<SnapshotReference> {
  const machine = core.machines.get({ type: 'VirtualMachine', value: input.id });
  checkSnapshots(machine);
  const known = task.journaled as CreateJournal | undefined;
  try {
    if (known !== undefined) {
      if (await isNamed(machine, known)) {
        // Without an engine, nobody knows what was done to the disks meanwhile.
        const generations = core.machines.engine(machine.id) === undefined ? [] : known.generations;
        return await finish(core, task, machine, { ...known, generations });
      }
      await undo(machine, known);
    }
    const plan = await planSnapshot(core, machine, input);
    await task.journal(plan);
    await prepare(core, machine, plan);
    return await finish(core, task, machine, plan);
  } catch (error) {
    throw snapshotFault(error, machine);
  }

  async function finish(core: HostCore, task: RunningTask, machine: MachineRecord, plan: CreateJournal) {
    const taken = await takeDisks(core, machine, plan, input.quiesce);
    return await conclude(core, task, machine, { ...plan, entry: { ...plan.entry, quiesced: taken.quiesced } }, taken);
  }
}

/** Disks that are part of a snapshot: independent ones are left out. */
export function snapshotDisks({ disks }: MachineConfiguration): readonly Disk[] {
  return disks.filter(({ mode }) => mode === 'persistent');
}

/** Names deltas over disks in the machine's folder. Throws TooManySnapshotLevels. */
export async function planDeltas(machine: MachineRecord, disks: readonly Disk[]): Promise<PlannedDelta[]> {
  const { datastore, vmxPath } = machine;
  const taken = new Set(await readdir(datastore.absolute(splitPath(vmxPath).folder)));
  const deltas: PlannedDelta[] = [];
  for (const { key, fileName } of disks) {
    const chain = await readDiskChain(diskPath(datastore, vmxPath, fileName), {
      allowOutside: (path) => path.startsWith(`${datastore.directory}/`),
    });
    if (chain.links.length >= maximumChainLength) {
      throw fault(
        'TooManySnapshotLevels',
        {},
        `A disk has ${maximumChainLength - 1} levels of snapshots at most; remove some that are not needed.`,
      );
    }
    const name = nextDeltaName(splitPath(fileName).name, (candidate) => {
      const [, extent] = deltaFiles(candidate);
      return taken.has(candidate) || taken.has(splitPath(extent).name);
    });
    taken.add(name);
    deltas.push({ key, over: fileName, name });
  }
  return deltas;
}

/** Makes the files of deltas. */
export async function makeDeltas(core: HostCore, machine: MachineRecord, deltas: readonly PlannedDelta[]) {
  const { datastore, vmxPath } = machine;
  for (const { over, name } of deltas) {
    const parent = await readDiskChain(diskPath(datastore, vmxPath, over), {
      allowOutside: (path) => path.startsWith(`${datastore.directory}/`),
    });
    await createDelta({ path: diskPath(datastore, vmxPath, name), parent, images: core.hypervisor.images });
  }
}

/** Removes the files of deltas, as far as they are there. */
export async function removeDeltas(machine: MachineRecord, deltas: readonly PlannedDelta[]): Promise<void> {
  for (const { name } of deltas) {
    for (const path of deltaFiles(diskPath(machine.datastore, machine.vmxPath, name))) await rm(path, { force: true });
  }
}

/** Names the deltas in a `.vmx`, or what they lie on. */
export function nameDeltas(
  vmx: VmxFile,
  configuration: MachineConfiguration,
  deltas: readonly PlannedDelta[],
  which: 'name' | 'over',
): void {
  for (const delta of deltas) {
    const disk = configuration.disks.find(({ key }) => key === delta.key);
    if (disk !== undefined) vmx.set(`${driveNode(configuration, disk)}.fileName`, delta[which]);
  }
}

/** Whether a `.vmx` names all the deltas. */
export function namesDeltas(
  vmx: VmxFile,
  configuration: MachineConfiguration,
  deltas: readonly PlannedDelta[],
): boolean {
  return deltas.every(({ key, name }) => {
    const disk = configuration.disks.find((one) => one.key === key);
    return disk !== undefined && vmx.get(`${driveNode(configuration, disk)}.fileName`) === name;
  });
}

async function planSnapshot(
  core: HostCore,
  machine: MachineRecord,
  input: CreateSnapshotInput,
): Promise<CreateJournal> {
  const { datastore, vmxPath, configuration, powerState } = machine;
  const { list } = await readVmsd(datastore, vmxPath);
  const { folder, name } = splitPath(vmxPath);
  const taken = new Set(await readdir(datastore.absolute(folder)));
  const stem = name.replace(/\.vmx$/i, '');
  let uid = list.lastUid + 1;
  while (taken.has(`${stem}-Snapshot${uid}.vmsn`) || taken.has(`${stem}-Snapshot${uid}.vmem`)) uid += 1;
  const disks = snapshotDisks(configuration);
  const suspended = powerState === 'suspended';
  return {
    entry: {
      uid,
      name: input.name,
      description: input.description,
      created: new Date().toISOString(),
      fileName: `${stem}-Snapshot${uid}.vmsn`,
      state: suspended ? 'suspended' : 'poweredOff',
      quiesced: false,
      memoryFile: suspended ? `${stem}-Snapshot${uid}.vmem` : undefined,
      disks: disks.map((disk) => ({ node: driveNode(configuration, disk), fileName: disk.fileName })),
      cloned: false,
    },
    deltas: await planDeltas(machine, disks),
    generations: await core.changes.plan(machine, disks),
  };
}

async function isNamed({ datastore, vmxPath, configuration }: MachineRecord, { entry, deltas }: CreateJournal) {
  // Without a disk nothing in the `.vmx` says that it was taken.
  if (deltas.length === 0)
    return findSnapshot((await readVmsd(datastore, vmxPath)).list.entries, entry.uid) !== undefined;
  return namesDeltas(await readVmx(datastore, vmxPath), configuration, deltas);
}

/** Everything up to the moment; nothing of it stays when it fails. */
async function prepare(core: HostCore, machine: MachineRecord, plan: CreateJournal): Promise<void> {
  const { datastore, vmxPath, configuration } = machine;
  const { entry, deltas } = plan;
  const folder = datastore.absolute(splitPath(vmxPath).folder);
  try {
    const vmx = await readVmx(datastore, vmxPath);
    const nvramName = splitPath(configuration.nvram).name;
    const nvram =
      nvramName === ''
        ? undefined
        : await readOwnFile(datastore, joinPath(splitPath(vmxPath).folder, nvramName), maximumNvramBytes);
    const vApp = configuration.hasVApp
      ? await readOwnFile(datastore, joinPath(splitPath(vmxPath).folder, vAppPath), maximumVAppBytes)
      : undefined;
    await writeVmsn(datastore, vmxPath, entry.fileName, {
      vmx: Buffer.from(vmx.toString()),
      ...(nvram === undefined ? {} : { nvram }),
      ...(vApp === undefined ? {} : { vApp }),
    });
    const image = splitPath(vmx.get(suspendKey) ?? '').name;
    if (entry.memoryFile !== undefined) await shareFile(join(folder, image), join(folder, entry.memoryFile));
    await makeDeltas(core, machine, deltas);
    if (core.machines.engine(machine.id) === undefined) await beginOffline(core, machine, plan);
    await syncFolder(folder);
    if (deltas.length > 0) {
      nameDeltas(vmx, configuration, deltas, 'name');
      await writeVmx(datastore, vmxPath, vmx);
    }
  } catch (error) {
    await undo(machine, plan).catch(() => {});
    throw error;
  }
}

/** Without an engine that begins them at the moment of the snapshot, generations begin on deltas that nobody writes. */
async function beginOffline(core: HostCore, machine: MachineRecord, plan: CreateJournal): Promise<void> {
  for (const { layer, generation } of overlaysOf(machine, plan)) {
    if (generation !== undefined) await core.hypervisor.images.beginGeneration(layer, generation);
  }
}

async function undo(machine: MachineRecord, { entry, deltas }: CreateJournal): Promise<void> {
  const { datastore, vmxPath } = machine;
  const folder = datastore.absolute(splitPath(vmxPath).folder);
  await removeDeltas(machine, deltas);
  for (const name of [entry.fileName, entry.memoryFile]) {
    if (name !== undefined) await rm(join(folder, name), { force: true });
  }
}

/** What came of asking an engine to go on with deltas. */
interface Taken {
  /** The guest held its file systems meanwhile. */
  readonly quiesced: boolean;
  /** An engine that was asked ended meanwhile. */
  readonly lost: boolean;
}

/** Has a running engine go on with the deltas. */
async function takeDisks(
  core: HostCore,
  machine: MachineRecord,
  plan: CreateJournal,
  quiesce: boolean,
): Promise<Taken> {
  const engine = core.machines.engine(machine.id);
  if (engine === undefined) return { quiesced: false, lost: false };
  if (engine.state === 'stopped') return { quiesced: false, lost: true };
  let thaw: (() => Promise<void>) | undefined;
  try {
    thaw = quiesce ? await freeze(engine) : undefined;
    await engine.snapshotDisks(overlaysOf(machine, plan));
    return { quiesced: thaw !== undefined, lost: false };
  } catch (error) {
    // One that ended meanwhile has its disks as the `.vmx` says.
    if (error instanceof HypervisorError && error.code === 'not-running') return { quiesced: false, lost: true };
    await takeBack(machine, plan);
    throw error;
  } finally {
    await thaw?.().catch((error: unknown) => core.onDefect('a guest that held its file systems', error));
  }
}

/** The flag is for guests whose agent answers: for others it is ignored, as the specification has it. */
async function freeze(engine: RunningMachine): Promise<(() => Promise<void>) | undefined> {
  try {
    return await engine.freezeGuest();
  } catch (error) {
    if (error instanceof HypervisorError && error.code === 'guest-agent-absent') return undefined;
    throw error;
  }
}

function overlaysOf({ datastore, vmxPath, configuration }: MachineRecord, plan: CreateJournal): DiskOverlay[] {
  return plan.deltas.flatMap(({ key, name }) => {
    const disk = configuration.disks.find((one) => one.key === key);
    if (disk === undefined) return [];
    const [, path] = deltaFiles(diskPath(datastore, vmxPath, name));
    const begun = plan.generations.find((planned) => planned.key === key);
    const generation = begun === undefined ? {} : { generation: generationName(begun.generation) };
    return [{ diskId: diskIdOf(configuration, disk), layer: { format: 'qcow2', path }, ...generation }];
  });
}

async function takeBack(machine: MachineRecord, plan: CreateJournal): Promise<void> {
  const { datastore, vmxPath, configuration } = machine;
  const vmx = await readVmx(datastore, vmxPath);
  nameDeltas(vmx, configuration, plan.deltas, 'over');
  await writeVmx(datastore, vmxPath, vmx);
  await undo(machine, plan);
}

async function conclude(
  core: HostCore,
  task: RunningTask,
  machine: MachineRecord,
  { entry, generations }: CreateJournal,
  { lost }: Taken,
): Promise<SnapshotReference> {
  const { datastore, vmxPath, id } = machine;
  const { list } = await readVmsd(datastore, vmxPath);
  if (findSnapshot(list.entries, entry.uid) === undefined)
    await writeVmsd(datastore, vmxPath, withSnapshot(list, entry));
  task.progress(90);
  await refreshMachine(core, id);
  if (!lost) await core.changes.began(id, entry.uid, generations);
  return snapshotReference(id, entry.uid);
}
