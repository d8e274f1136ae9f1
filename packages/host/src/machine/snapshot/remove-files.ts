import { rm } from 'node:fs/promises';
import { splitPath } from '@hypostyle/services';
import type { HostCore } from '../../host-core.ts';
import { syncFolder } from '../files/machine-files.ts';
import { heldFiles, heldFilesOn } from '../record/held-files.ts';
import type { MachineRecord } from '../record/machine-record.ts';

/** Removes files of a machine, by their paths on its datastore: but none that any machine's disks, or snapshots, need. */
export async function removeFiles(
  core: Pick<HostCore, 'machines' | 'diskChildren'>,
  { datastore }: MachineRecord,
  paths: readonly string[],
): Promise<void> {
  if (paths.length === 0) return;
  const needed = new Set<string>();
  for (const machine of core.machines.all()) {
    for (const file of heldFilesOn(machine, datastore)) needed.add(file);
  }
  const folders = new Set<string>();
  const elsewhere = await core.diskChildren.held(
    datastore,
    paths.map((path) => splitPath(path).folder),
  );
  for (const held of elsewhere) for (const file of heldFiles(held)) needed.add(file);
  for (const path of paths) {
    if (needed.has(path)) continue;
    await rm(datastore.absolute(path), { force: true });
    folders.add(splitPath(path).folder);
  }
  for (const folder of folders) await syncFolder(datastore.absolute(folder));
}
