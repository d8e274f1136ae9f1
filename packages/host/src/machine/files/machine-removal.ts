import { readdir, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { datastoreMarker, isHiddenName, joinPath, resolveInRoot, splitPath } from '@hypostyle/services';
import { VimFault } from '@hypostyle/vim';
import type { Datastore } from '../../datastore/datastore.ts';
import type { HostCore } from '../../host-core.ts';
import { foldersOfDisks, heldFiles, heldFilesOn } from '../record/held-files.ts';
import type { DiskFacts, MachineRecord } from '../record/machine-record.ts';
import { removeMade } from './disk-effects.ts';
import { fileType, syncFolder } from './machine-files.ts';

/** What goes with a machine: written down before the first is deleted, since half a machine does not say it any more. */
export interface DoomedFiles {
  readonly datastore: string;
  readonly folder: string;
  /** Names in the folder. */
  readonly names: readonly string[];
  /** Nothing else is in the folder. */
  readonly folderToo: boolean;
  /** Disks that stay, since others stand on them: names in the folder. */
  readonly left?: readonly string[];
  /** Absolute paths of its disks on other datastores, which nobody else has. */
  readonly elsewhere?: readonly string[];
  /** Folders of disks that it stood on. */
  readonly bases?: readonly string[];
}

type Core = Pick<HostCore, 'machines' | 'datastores' | 'diskChildren'>;

/**
 * The files of a machine: its disks' chains within its folder, and what is of its kinds there. What another registered
 * machine uses stays, and so does what may be another's where two machines lie in one folder.
 */
export async function filesOf(
  core: Core,
  machine: MachineRecord,
  disks: ReadonlyMap<number, DiskFacts> = machine.disks,
): Promise<DoomedFiles> {
  const { datastore, vmxPath } = machine;
  const { folder, name: vmxName } = splitPath(vmxPath);
  const entries = await entriesOf(machine);
  const own = heldFiles({ disks, snapshots: machine.snapshots });
  const foreign = usedByOthers(core, machine);
  const elsewhere = await core.diskChildren.held(datastore, [folder]);
  for (const held of elsewhere) for (const file of heldFiles(held)) foreign.add(file);
  // Clones stand on what is left: who they are stays written down.
  const left = [...foreign].filter((path) => own.has(path)).map((path) => splitPath(path).name);
  const stem = vmxName.replace(/\.[^.]*$/, '');
  const alone = folder !== '' && !entries.some(({ name }) => /\.vmx$/i.test(name) && name !== vmxName);
  const names = entries
    .filter((entry) => {
      const { name } = entry;
      const path = joinPath(folder, name);
      if (foreign.has(path)) return false;
      if (own.has(path)) return true;
      // Whoever made a datastore of the folder has it still.
      if (name === datastoreMarker) return false;
      if (isHiddenName(name)) return alone && !(elsewhere.length > 0 && name === '.hypo');
      if (entry.isDirectory() || fileType(name) === undefined || /\.(vmdk|qcow2)$/i.test(name)) return false;
      return alone || name === vmxName || name.startsWith(`${stem}.`) || name.startsWith(`${stem}-`);
    })
    .map(({ name }) => name)
    // The `.vmx` goes last: as long as it is there, there is a machine to be destroyed.
    .sort((a, b) => Number(a === vmxName) - Number(b === vmxName));
  const bases = [...foldersOfDisks({ disks, snapshots: machine.snapshots })].filter((base) => base !== folder);
  const abroad = [...own].filter((path) => datastore.locate(path).datastore !== datastore && !foreign.has(path));
  const needed = await core.diskChildren.held(
    datastore,
    abroad.map((path) => splitPath(path).folder),
  );
  const kept = new Set(needed.flatMap((held) => [...heldFiles(held)]));
  return {
    datastore: datastore.uuid,
    folder,
    names,
    folderToo: folder !== '' && names.length === entries.length,
    ...(alone && elsewhere.length > 0 ? { left } : {}),
    ...(abroad.length === 0
      ? {}
      : { elsewhere: abroad.filter((path) => !kept.has(path)).map((path) => datastore.absolute(path)) }),
    bases,
  };
}

/** Deletes what `filesOf` named, as far as it is still there. */
export async function deleteDoomed(
  core: Core,
  { datastore: uuid, folder, names, folderToo, left, elsewhere = [], bases = [] }: DoomedFiles,
): Promise<void> {
  const datastore = core.datastores.byUuid(uuid);
  if (datastore === undefined) return;
  // The `.vmx` goes after them: as long as it is there, it names them.
  await removeMade(elsewhere);
  await deleteNamed(datastore, { folder, names, folderToo });
  if (left !== undefined) {
    await core.diskChildren.abandon(datastore, folder, left);
    // The last child may have gone meanwhile.
    await core.diskChildren.release(datastore, folder);
  }
  for (const base of bases) await core.diskChildren.release(datastore, base);
}

async function deleteNamed(
  datastore: Datastore,
  { folder, names, folderToo }: Pick<DoomedFiles, 'folder' | 'names' | 'folderToo'>,
): Promise<void> {
  let directory: string;
  try {
    directory = await resolveInRoot(datastore, folder);
    for (const name of names) await rm(join(directory, name), { recursive: true, force: true });
    if (folderToo) await rmdir(directory);
    else await syncFolder(directory);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (isMissing(error) || code === 'ENOENT' || code === 'ENOTEMPTY') return;
    throw error;
  }
}

/** Paths of the disks of every other machine on the machine's datastore. */
export function usedByOthers(core: Pick<Core, 'machines'>, machine: MachineRecord): Set<string> {
  const used = new Set<string>();
  for (const other of core.machines.all()) {
    if (other.id === machine.id) continue;
    for (const file of heldFilesOn(other, machine.datastore)) used.add(file);
  }
  return used;
}

async function entriesOf({ datastore, vmxPath }: MachineRecord) {
  try {
    return await readdir(await resolveInRoot(datastore, splitPath(vmxPath).folder), { withFileTypes: true });
  } catch (error) {
    // A folder that is gone already has nothing to delete.
    if (isMissing(error) || (error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof VimFault && error.type === 'FileNotFound';
}
