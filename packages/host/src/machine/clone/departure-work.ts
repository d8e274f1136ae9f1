import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type DiskMove, HypervisorError } from '@hypostyle/contracts';
import { copyMachineDisk, splitPath } from '@hypostyle/services';
import type { RunningTask } from '@hypostyle/vim';
import type { HostCore } from '../../host-core.ts';
import { baseNameOf, chainOfDisk } from '../changes/tracked-files.ts';
import { engineFound } from '../engine/engine-found.ts';
import type { MachineWatch } from '../engine/machine-watch.ts';
import { adapterOf, type DoomedDisk, destroyDisks, doomedDisk, removeMade } from '../files/disk-effects.ts';
import { diskPath, readVmx, syncFolder, writeVmx } from '../files/machine-files.ts';
import { driveNode } from '../power/hardware.ts';
import type { MachineRecord } from '../record/machine-record.ts';
import { machineReference } from '../registration/registration.ts';
import { refreshMachine } from '../snapshot/refresh-machine.ts';
import { copyFault } from './clone-files.ts';
import { choosePlaces, type DeparturePlace } from './departure-place.ts';
import { checkDepartures, checkRoomFor, type Departure } from './disk-departures.ts';
import { liveDisks, makeMirror, moveOf } from './live-disks.ts';

/** Disks that move by themselves, and what goes once the `.vmx` names them where they are to be. */
export interface DepartureJournal {
  readonly departed: readonly DepartedDisk[];
  /** Absolute paths of what is made. */
  readonly made: readonly string[];
  readonly doomed: readonly DoomedDisk[];
  /** Folders of disks that they stood on. */
  readonly bases: readonly string[];
  /** Of a machine that runs: what its engine is asked for. */
  readonly moves?: readonly DiskMove[];
}

interface DepartedDisk {
  /** Device key. */
  readonly key: number;
  /** As the `.vmx` names it before and after. */
  readonly former: string;
  readonly fileName: string;
  /** What the record of changed blocks calls it before. */
  readonly base: string;
}

interface Parts {
  readonly watch: Pick<MachineWatch, 'ended'>;
}

/** What a task did or does with some disks, as far as it wrote that down. */
export function departureOf(journaled: unknown): DepartureJournal | undefined {
  return typeof journaled === 'object' && journaled !== null && 'departed' in journaled
    ? (journaled as DepartureJournal)
    : undefined;
}

/**
 * Moves disks of a machine, which stays where it is: each has all of its bytes in one flat disk then. Undefined: the
 * machine's engine ended meanwhile, and nothing came of it.
 */
export async function depart(
  core: HostCore,
  parts: Parts,
  task: RunningTask,
  machine: MachineRecord,
  leaving: readonly Departure[],
): Promise<DepartureJournal | undefined> {
  await checkDepartures(core, machine, leaving);
  await checkRoomFor(machine, leaving);
  const { places, release } = await choosePlaces(core, task, machine, leaving);
  try {
    const journal = await plannedJournal(machine, places);
    // Written down before the first folder is made.
    await task.journal(journal);
    let moves: DiskMove[] | undefined;
    try {
      for (const directory of new Set(places.map((place) => place.directory))) {
        await mkdir(directory, { recursive: true });
        await syncFolder(dirname(directory));
      }
      if (machine.powerState === 'poweredOn') moves = await makeMirrors(core, task, machine, places);
      else await copyDisks(core, task, machine, places);
      task.signal.throwIfAborted();
    } catch (error) {
      await removeMade(journal.made);
      throw error;
    }
    if (moves === undefined) await nameDisks(machine, journal, 'fileName');
    else {
      const moving: DepartureJournal = { ...journal, moves };
      await task.journal(moving);
      if (!(await changeOver(core, parts, task, machine, moving))) return undefined;
    }
    await conclude(core, machine.id, journal);
    return journal;
  } finally {
    release();
  }
}

/** What an earlier process began. False: it is undone, and all is to be done anew. */
export async function goOnDeparting(
  core: HostCore,
  parts: Parts,
  task: RunningTask,
  id: string,
  journal: DepartureJournal,
): Promise<boolean> {
  // As long as the engine may be there, nobody knows which files it has.
  await engineFound(core, task, id);
  const machine = core.machines.get(machineReference(id));
  const isThere = await namesDisks(machine, journal);
  if (journal.moves !== undefined && core.machines.engine(id) !== undefined) {
    if (!(await changeOver(core, parts, task, machine, journal)) && !isThere) return false;
  } else if (!isThere) {
    await removeMade(journal.made);
    return false;
  }
  await conclude(core, id, journal);
  return true;
}

async function plannedJournal(machine: MachineRecord, places: readonly DeparturePlace[]): Promise<DepartureJournal> {
  const { datastore, vmxPath } = machine;
  const { folder: home } = splitPath(vmxPath);
  const doomed: DoomedDisk[] = [];
  const bases = new Set<string>();
  const departed: DepartedDisk[] = [];
  for (const { disk, fileName } of places) {
    const facts = machine.disks.get(disk.key);
    departed.push({ key: disk.key, former: disk.fileName, fileName, base: baseNameOf(machine, facts) });
    const [top = [], ...below] = facts?.chain ?? [];
    const { path, files } = await doomedDisk(datastore, diskPath(datastore, vmxPath, disk.fileName));
    // What it stood on in a folder that is not the machine's own may be somebody's.
    const others = new Set(below.flat().filter((file) => splitPath(file).folder !== home));
    doomed.push({ path, files: files.filter((file) => !others.has(datastore.pathOf(file))) });
    const own = splitPath(top[0] ?? '').folder;
    for (const [file = ''] of below) if (splitPath(file).folder !== own) bases.add(splitPath(file).folder);
  }
  return { departed, made: places.flatMap(({ files }) => files), doomed, bases: [...bases] };
}

async function copyDisks(
  core: HostCore,
  task: RunningTask,
  machine: MachineRecord,
  places: readonly DeparturePlace[],
): Promise<void> {
  const { configuration } = machine;
  for (const [index, { disk, datastore, allocation, files }] of places.entries()) {
    task.signal.throwIfAborted();
    const [path = ''] = files;
    const source = await chainOfDisk(machine, disk.fileName);
    try {
      await copyMachineDisk({
        source,
        path,
        allocation,
        adapter: adapterOf(configuration, disk.key),
        hardwareVersion: configuration.hardwareVersion,
        uuid: source.uuid,
        images: core.hypervisor.images,
        signal: task.signal,
        onProgress: (fraction) => task.progress(5 + Math.floor((85 * (index + fraction)) / places.length)),
      });
    } catch (error) {
      if (task.signal.aborted) throw task.signal.reason;
      throw copyFault(error, datastore, datastore.pathOf(path));
    }
  }
}

/** Makes the files of disks that a guest writes, without bytes of them yet. */
async function makeMirrors(
  core: HostCore,
  task: RunningTask,
  machine: MachineRecord,
  places: readonly DeparturePlace[],
): Promise<DiskMove[]> {
  const moves: DiskMove[] = [];
  for (const { disk, datastore, allocation, name, directory } of places) {
    const [live] = await liveDisks(core, machine, [{ key: disk.key, fileName: name, allocation }], [disk]);
    if (live === undefined) continue;
    try {
      await makeMirror(core, { datastore, directory, machine, disk: live, signal: task.signal });
    } catch (error) {
      if (task.signal.aborted) throw task.signal.reason;
      throw copyFault(error, datastore, name);
    }
    moves.push(moveOf(live, directory));
  }
  return moves;
}

/**
 * Has the guest's disks copied while it writes them, and the machine go on with the new ones. False: its engine ended
 * before that, and nothing is left of them.
 */
async function changeOver(
  core: HostCore,
  { watch }: Parts,
  task: RunningTask,
  machine: MachineRecord,
  journal: DepartureJournal,
): Promise<boolean> {
  const { id, datastore } = machine;
  const engine = core.machines.engine(id);
  let named = await namesDisks(machine, journal);
  try {
    if (engine === undefined) throw new HypervisorError('not-running', 'The machine does not run.');
    await engine.moveDisks({
      disks: journal.moves ?? [],
      signal: task.signal,
      onProgress: (fraction) => task.progress(10 + Math.floor(80 * fraction)),
      onMoved: async () => {
        try {
          await nameDisks(machine, journal, 'fileName');
        } catch (error) {
          // The machine goes on with the former ones.
          await nameDisks(machine, journal, 'former');
          throw error;
        }
        named = true;
      },
    });
  } catch (error) {
    const ended = error instanceof HypervisorError && error.code === 'not-running';
    if (ended) await watch.ended(id, 'crashed');
    if (!named) {
      await removeMade(journal.made);
      if (ended) return false;
      throw task.signal.aborted ? error : copyFault(error, datastore, machine.vmxPath);
    }
    // Only what is left of the former disks is to be taken away.
    if (!ended) core.onDefect('disks that were moved', error);
  }
  return true;
}

/** The one write by which the disks are where they are to be. */
async function nameDisks(
  { configuration, datastore, vmxPath }: MachineRecord,
  { departed }: DepartureJournal,
  which: 'fileName' | 'former',
): Promise<void> {
  const vmx = await readVmx(datastore, vmxPath);
  for (const one of departed) {
    const disk = configuration.disks.find(({ key }) => key === one.key);
    if (disk !== undefined) vmx.set(`${driveNode(configuration, disk)}.fileName`, one[which]);
  }
  await writeVmx(datastore, vmxPath, vmx);
}

async function namesDisks(
  { configuration, datastore, vmxPath }: MachineRecord,
  { departed }: DepartureJournal,
): Promise<boolean> {
  const vmx = await readVmx(datastore, vmxPath);
  return departed.every(({ key, fileName }) => {
    const disk = configuration.disks.find((one) => one.key === key);
    return disk !== undefined && vmx.get(`${driveNode(configuration, disk)}.fileName`) === fileName;
  });
}

/** What is known of the machine follows, and the former files go. */
async function conclude(core: HostCore, id: string, { departed, doomed, bases }: DepartureJournal): Promise<void> {
  // A guest's writes on the way are in no generation: whatever was known of these disks is over.
  await core.changes.endOf(id, new Set(departed.map(({ base }) => base)));
  const { datastore } = await refreshMachine(core, id);
  await destroyDisks(core, datastore, doomed);
  for (const base of bases) await core.diskChildren.release(datastore, base);
}
