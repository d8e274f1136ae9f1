import { access } from 'node:fs/promises';
import { faults, fileStem, joinPath, splitPath } from '@hypostyle/services';
import type { RunningTask } from '@hypostyle/vim';
import type { Datastore } from '../../datastore/datastore.ts';
import type { HostCore } from '../../host-core.ts';
import { claimOf } from '../record/claims.ts';

/** Folder and `.vmx` of a machine to be. */
export interface MachinePlace {
  readonly datastore: Datastore;
  readonly folder: string;
  readonly vmxName: string;
  /** It was looked for, and is not there yet. */
  readonly isNew: boolean;
  readonly release: () => void;
}

/** Folder and `.vmx` for a new machine, which no other has meanwhile: what the client names, or a free folder. */
export async function choosePlace(
  core: HostCore,
  vmPathName: string,
  name: string,
  task: RunningTask,
): Promise<MachinePlace> {
  const { datastore, path } = core.datastores.parseOfTask(vmPathName);
  const claim = (folder: string, vmxName: string, isNew = false): MachinePlace => {
    core.datastores.checkStays(datastore);
    // The root of a datastore is nobody's own.
    const places = [joinPath(folder, vmxName), ...(folder === '' ? [] : [folder])];
    const release = core.claims.take(
      places.map((place) => claimOf.place(datastore.uuid, place)),
      task.ref,
      () => faults.locked(datastore.format(folder)),
    );
    return { datastore, folder, vmxName, isNew, release };
  };
  if (path.toLowerCase().endsWith('.vmx')) {
    const { folder, name: vmxName } = splitPath(path);
    return claim(folder, vmxName);
  }
  const safe = fileStem(name);
  if (path !== '') return claim(path, `${safe}.vmx`);
  for (let number = 0; ; number += 1) {
    const folder = number === 0 ? safe : `${safe}_${number}`;
    if (core.claims.holder(claimOf.place(datastore.uuid, folder)) !== undefined) continue;
    if (await exists(datastore.absolute(folder))) continue;
    if (core.claims.holder(claimOf.place(datastore.uuid, folder)) === undefined)
      return claim(folder, `${safe}.vmx`, true);
  }
}

export async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
