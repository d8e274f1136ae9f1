import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { HypervisorError } from '@hypostyle/contracts';
import { joinPath, splitPath } from '@hypostyle/services';
import type { RunningTask } from '@hypostyle/vim';
import type { HostCore } from '../../host-core.ts';
import { vAppPath } from '../../vapp/vapp-file.ts';
import { engineFound } from '../engine/engine-found.ts';
import type { MachineWatch } from '../engine/machine-watch.ts';
import { readVmx, syncFolder } from '../files/machine-files.ts';
import { driveNode } from '../power/hardware.ts';
import { suspendKey } from '../power/memory-image.ts';
import type { MachineRecord } from '../record/machine-record.ts';
import { type FolderFacts, readMachine } from '../registration/registration.ts';
import { abandonSnapshot } from './abandon-snapshot.ts';
import { type CreateJournal, type CreateSnapshotInput, type CreateWork, memoryFiles } from './create-work.ts';
import { makeDeltas, nameDeltas, namesDeltas, planDeltas, removeDeltas, snapshotDisks } from './planned-deltas.ts';
import { refreshMachine } from './refresh-machine.ts';
import { checkSnapshots, snapshotFault } from './snapshot-faults.ts';
import { readOwnFile, readVmsd, shareFile, vmsdPath, writeVmsd } from './snapshot-files.ts';
import { findSnapshot, withoutSnapshots, withSnapshot } from './snapshot-list.ts';
import { type SnapshotReference, snapshotReference } from './snapshot-reference.ts';
import { allDone, StagedFiles, writeDurably } from './staged-files.ts';
import { letGoAgain, overlaysOf, type Taken, takeDisks, takeMachine } from './take-disks.ts';
import { formatVmsd } from './vmsd-file.ts';
import { formatVmsn } from './vmsn-file.ts';

/** Largest file of the firmware that a snapshot keeps, in bytes. */
const maximumNvramBytes = 8 << 20;
const maximumVAppBytes = 4 << 20;

/**
 * Takes a snapshot: the machine's disks stay as they are, and it goes on with a delta over each. The `.vmx` that names
 * the deltas is the moment: before it all is taken back, after it the rest is done, whatever ends the process. Memory
 * that cannot be kept after that has the deltas merged again. `isAgain`: an earlier process may have done some of it;
 * otherwise what is journaled is the plan alone.
 */
export async function createSnapshot(
  core: HostCore,
  watch: MachineWatch,
  task: RunningTask,
  input: CreateSnapshotInput,
  { isAgain }: { readonly isAgain: boolean },
): Promise<SnapshotReference> {
  const known = task.journaled as CreateJournal | undefined;
  if (isAgain) await engineFound(core, task, input.id);
  const machine = core.machines.get({ type: 'VirtualMachine', value: input.id });
  const work: CreateWork = { core, watch, task, machine, input };
  try {
    if (known?.failed !== undefined) return await abandonSnapshot(work, known, known.failed);
    if (known !== undefined && isAgain) {
      if (await isNamed(machine, known)) return await finish(work, known, true);
      // A guest without disks of ours may hold what it has from elsewhere.
      if (input.quiesce) await letGoAgain(core, core.machines.engine(machine.id));
      await takeBack(machine, known);
    }
    checkSnapshots(machine);
    const plan = known === undefined || isAgain ? await planSnapshot(core, input) : known;
    if (plan !== known) await task.journal(plan);
    await prepare(work, plan);
    return await finish(work, plan, false);
  } catch (error) {
    throw snapshotFault(error, machine);
  }
}

/** What a snapshot is to be, and what is to be made for it; changes nothing. */
export async function planSnapshot(core: HostCore, input: CreateSnapshotInput): Promise<CreateJournal> {
  const machine = core.machines.get({ type: 'VirtualMachine', value: input.id });
  checkSnapshots(machine);
  const { datastore, vmxPath, configuration, powerState } = machine;
  const { folder, name } = splitPath(vmxPath);
  const disks = snapshotDisks(configuration);
  const [{ list }, names, deltas, generations] = await Promise.all([
    readVmsd(datastore, vmxPath),
    readdir(datastore.absolute(folder)),
    planDeltas(machine, disks),
    core.changes.plan(machine, disks),
  ]);
  const taken = new Set(names);
  const stem = name.replace(/\.vmx$/i, '');
  let uid = list.lastUid + 1;
  while (taken.has(`${stem}-Snapshot${uid}.vmsn`) || taken.has(`${stem}-Snapshot${uid}.vmem`)) uid += 1;
  const withMemory = powerState === 'suspended' || (input.memory && powerState === 'poweredOn');
  return {
    entry: {
      uid,
      name: input.name,
      description: input.description,
      created: new Date().toISOString(),
      fileName: `${stem}-Snapshot${uid}.vmsn`,
      state: withMemory ? powerState : 'poweredOff',
      quiesced: false,
      memoryFile: withMemory ? `${stem}-Snapshot${uid}.vmem` : undefined,
      disks: disks.map((disk) => ({ node: driveNode(configuration, disk), fileName: disk.fileName })),
      cloned: false,
    },
    deltas,
    generations,
  };
}

async function isNamed({ datastore, vmxPath, configuration }: MachineRecord, { entry, deltas, named }: CreateJournal) {
  if (deltas.length > 0) return namesDeltas(await readVmx(datastore, vmxPath), configuration, deltas);
  // Without a disk nothing in the `.vmx` says that it was taken.
  return named || findSnapshot((await readVmsd(datastore, vmxPath)).list.entries, entry.uid) !== undefined;
}

/** Whether a snapshot is in the list before the engine takes it: all that is said of it is known by then. */
function isListedAtOnce({ core, machine, input }: CreateWork, { entry }: CreateJournal): boolean {
  if (entry.state === 'poweredOn') return false;
  return !input.quiesce || core.machines.engine(machine.id) === undefined;
}

/** Everything up to the moment; nothing of it stays when it fails. */
async function prepare(work: CreateWork, plan: CreateJournal): Promise<void> {
  const { core, machine, task } = work;
  const { datastore, vmxPath, configuration } = machine;
  const { entry, deltas } = plan;
  const { folder } = splitPath(vmxPath);
  const directory = datastore.absolute(folder);
  const staged = new StagedFiles();
  const ownFile = async (isThere: boolean, path: string, most: number) =>
    isThere ? await readOwnFile(datastore, path, most) : undefined;
  // Nothing names any of what is made yet, so that all of it is made, and made durable, at a time.
  const deltasMade = makeDeltas(core, machine, deltas);
  // Whoever waits for it hears of it.
  deltasMade.catch(() => {});
  try {
    const nvramName = splitPath(configuration.nvram).name;
    const [vmx, { list, file }, nvram, vApp] = await Promise.all([
      readVmx(datastore, vmxPath),
      readVmsd(datastore, vmxPath),
      ownFile(nvramName !== '', joinPath(folder, nvramName), maximumNvramBytes),
      ownFile(configuration.hasVApp, joinPath(folder, vAppPath), maximumVAppBytes),
    ]);
    const state = formatVmsn({
      vmx: Buffer.from(vmx.toString()),
      ...(nvram === undefined ? {} : { nvram }),
      ...(vApp === undefined ? {} : { vApp }),
    });
    const image = splitPath(vmx.get(suspendKey) ?? '').name;
    if (deltas.length > 0) {
      nameDeltas(vmx, configuration, deltas, 'name');
      staged.add(datastore.absolute(vmxPath), vmx.toString());
    }
    if (isListedAtOnce(work, plan))
      staged.add(datastore.absolute(vmsdPath(vmxPath)), formatVmsd(withSnapshot(list, entry), file));
    await allDone([
      writeDurably(join(directory, entry.fileName), state),
      deltasMade,
      ...(entry.state === 'suspended' && entry.memoryFile !== undefined
        ? [shareFile(join(directory, image), join(directory, entry.memoryFile))]
        : []),
      staged.whole(),
    ]);
    if (core.machines.engine(machine.id) === undefined) await beginOffline(core, machine, plan);
    await syncFolder(directory);
    await staged.publish();
    if (deltas.length === 0 && entry.state === 'poweredOn') await task.journal({ ...plan, named: true });
  } catch (error) {
    await Promise.allSettled([deltasMade, staged.discard()]);
    await takeBack(machine, plan).catch((also: unknown) => core.onDefect('a snapshot that was not taken', also));
    throw error;
  }
}

/** Without an engine that begins them at the moment of the snapshot, generations begin on deltas that nobody writes. */
async function beginOffline(core: HostCore, machine: MachineRecord, plan: CreateJournal): Promise<void> {
  for (const { layer, generation } of overlaysOf(machine, plan)) {
    if (generation !== undefined) await core.hypervisor.images.beginGeneration(layer, generation);
  }
}

/** Everything after the moment. `isAgain`: an earlier process may have done some of it. */
async function finish(work: CreateWork, plan: CreateJournal, isAgain: boolean): Promise<SnapshotReference> {
  const { core, task, machine, input } = work;
  const { entry } = plan;
  // All that the folder says from now on is in it: it is read while the engine changes its disks.
  const reading =
    !isAgain && isListedAtOnce(work, plan) ? readMachine(core, machine.datastore, machine.vmxPath) : undefined;
  reading?.catch(() => {});
  let taken: Taken;
  try {
    taken =
      entry.state === 'poweredOn'
        ? await takeMachine(work, plan)
        : await takeDisks({ core, task, machine, plan, input, isAgain });
  } catch (error) {
    const code = error instanceof HypervisorError ? error.code : undefined;
    const words = error instanceof Error ? error.message : String(error);
    if (entry.state === 'poweredOn' && (code === 'memory-failed' || code === 'not-running'))
      return await abandonSnapshot(work, plan, words);
    // An engine that does not answer may be writing the deltas.
    if (code !== 'engine-lost') {
      await takeBack(machine, plan);
      // An earlier process named the deltas, and they are known here by what it wrote.
      if (isAgain) await refreshMachine(core, machine.id);
    }
    throw error;
  }
  return await conclude(work, { ...plan, entry: { ...entry, quiesced: taken.quiesced } }, taken, reading);
}

/** Whatever was named is what it was before, and nothing that was made stays. */
async function takeBack(machine: MachineRecord, plan: CreateJournal): Promise<void> {
  const { datastore, vmxPath, configuration } = machine;
  const { deltas, entry } = plan;
  const vmx = await readVmx(datastore, vmxPath);
  const { list, file } = await readVmsd(datastore, vmxPath);
  const staged = new StagedFiles();
  if (deltas.length > 0 && namesDeltas(vmx, configuration, deltas)) {
    nameDeltas(vmx, configuration, deltas, 'over');
    staged.add(datastore.absolute(vmxPath), vmx.toString());
  }
  const listed = findSnapshot(list.entries, entry.uid) !== undefined;
  // A machine of which no snapshot was ever taken has no list.
  const isFirst = entry.uid === 1 && list.entries.length === 1;
  const listPath = datastore.absolute(vmsdPath(vmxPath));
  if (listed && !isFirst) staged.add(listPath, formatVmsd(withoutSnapshots(list, new Set([entry.uid])), file));
  await staged.publish();
  if (listed && isFirst) await rm(listPath, { force: true });
  await removeMade(machine, plan);
}

async function removeMade(machine: MachineRecord, { entry, deltas }: CreateJournal): Promise<void> {
  const { datastore, vmxPath } = machine;
  const folder = datastore.absolute(splitPath(vmxPath).folder);
  await removeDeltas(machine, deltas);
  for (const name of [entry.fileName, ...memoryFiles(entry)]) await rm(join(folder, name), { force: true });
}

async function conclude(
  { core, machine }: CreateWork,
  { entry, generations }: CreateJournal,
  { lost }: Taken,
  reading: Promise<FolderFacts> | undefined,
): Promise<SnapshotReference> {
  const { datastore, vmxPath, id } = machine;
  if (reading === undefined) {
    const { list } = await readVmsd(datastore, vmxPath);
    if (findSnapshot(list.entries, entry.uid) === undefined)
      await writeVmsd(datastore, vmxPath, withSnapshot(list, entry));
  }
  await refreshMachine(core, id, reading);
  if (!lost) await core.changes.began(id, entry.uid, generations);
  return snapshotReference(id, entry.uid);
}
