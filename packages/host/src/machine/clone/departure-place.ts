import { readdir } from 'node:fs/promises';
import { joinPath, machineDiskFiles, splitPath } from '@hypostyle/services';
import type { RunningTask } from '@hypostyle/vim';
import type { Datastore } from '../../datastore/datastore.ts';
import type { HostCore } from '../../host-core.ts';
import { nameFrom } from '../files/disk-effects.ts';
import { exists } from '../lifecycle/machine-place.ts';
import { claimOf } from '../record/claims.ts';
import type { MachineRecord } from '../record/machine-record.ts';
import type { Departure } from './disk-departures.ts';

/** Where a disk that moves by itself comes to. */
export interface DeparturePlace extends Departure {
  /** Name of its descriptor there. */
  readonly name: string;
  /** As the `.vmx` is to name it. */
  readonly fileName: string;
  /** Absolute path of its folder, which may not be there yet. */
  readonly directory: string;
  /** Absolute paths of its files. */
  readonly files: readonly string[];
}

/**
 * Chooses free names for disks: beside the `.vmx` on its own datastore, else beside other disks of the machine there, or
 * in a folder for it. Nothing is made yet; the folders are the task's own until `release`.
 */
export async function choosePlaces(
  core: HostCore,
  task: RunningTask,
  machine: MachineRecord,
  leaving: readonly Departure[],
): Promise<{ readonly places: DeparturePlace[]; readonly release: () => void }> {
  const { datastore, vmxPath, configuration } = machine;
  const releases: (() => void)[] = [];
  const folders = new Map<Datastore, string>();
  const places: DeparturePlace[] = [];
  const chosen = new Set<string>();
  for (const one of leaving) {
    let folder = folders.get(one.datastore) ?? presentFolder(machine, one.datastore);
    if (folder === undefined) {
      const free = await freeFolder(core, task, machine, one.datastore);
      releases.push(free.release);
      folder = free.folder;
    }
    folders.set(one.datastore, folder);
    const path = datastore.pathFrom(one.datastore, folder);
    const directory = datastore.absolute(path);
    // Disks of one machine have names of their own wherever they are: they may come together one day.
    const others = configuration.disks.filter(({ key }) => key !== one.disk.key);
    const taken = new Set([
      ...others.map(({ fileName }) => plainName(fileName)),
      ...chosen,
      ...(await readdir(directory).catch(nothingThere)),
    ]);
    const name = freeName(plainName(one.disk.fileName), taken);
    chosen.add(name);
    places.push({
      ...one,
      name,
      directory,
      fileName: nameFrom({ datastore, vmxPath }, joinPath(path, name)),
      files: machineDiskFiles(one.datastore, joinPath(folder, name)),
    });
  }
  return {
    places,
    release: () => {
      for (const release of releases) release();
    },
  };
}

/** The folder of a machine's disks on a datastore, as a path in that one. */
function presentFolder({ datastore, vmxPath, configuration }: MachineRecord, on: Datastore): string | undefined {
  if (on === datastore) return splitPath(vmxPath).folder;
  for (const { fileName } of configuration.disks) {
    const known = datastore.relative(vmxPath, fileName);
    const at = known === undefined ? undefined : datastore.locate(known);
    if (at?.datastore === on && splitPath(at.path).folder !== '') return splitPath(at.path).folder;
  }
  return undefined;
}

async function freeFolder(core: HostCore, task: RunningTask, { vmxPath }: MachineRecord, on: Datastore) {
  const { folder: home, name: vmxName } = splitPath(vmxPath);
  const stem = splitPath(home).name || vmxName.replace(/\.vmx$/i, '');
  for (let number = 0; ; number += 1) {
    const folder = number === 0 ? stem : `${stem}_${number}`;
    const claim = claimOf.place(on.uuid, folder);
    if (core.claims.holder(claim) !== undefined || (await exists(on.absolute(folder)))) continue;
    if (core.claims.holder(claim) !== undefined) continue;
    const release = core.claims.take([claim], task.ref, () => new Error(`${folder} was free just now`));
    return { folder, release };
  }
}

function plainName(fileName: string): string {
  return splitPath(fileName).name.replace(/-\d{6}\.vmdk$/i, '.vmdk');
}

function freeName(name: string, taken: ReadonlySet<string>): string {
  const stem = name.replace(/\.vmdk$/i, '');
  for (let number = 0; ; number += 1) {
    const candidate = number === 0 ? stem : `${stem}_${number}`;
    if (!taken.has(`${candidate}.vmdk`) && !taken.has(`${candidate}-flat.vmdk`)) return `${candidate}.vmdk`;
  }
}

function nothingThere(error: unknown): string[] {
  if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
  throw error;
}
