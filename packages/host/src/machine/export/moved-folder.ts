import { stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import {
  type Bundle,
  type BundleEntry,
  contentEntry,
  fileEntry,
  folderEntry,
  joinPath,
  splitPath,
} from '@hypostyle/services';
import { fault } from '@hypostyle/vim';
import { writeConfiguration } from '../../configuration/to-vmx.ts';
import type { HostCore } from '../../host-core.ts';
import { vAppPath } from '../../vapp/vapp-file.ts';
import { ownFileNames } from '../clone/relocate-files.ts';
import { namesToCopy } from '../clone/relocate-plan.ts';
import { readVmx } from '../files/machine-files.ts';
import { foldersOfDisks, otherDatastores } from '../record/held-files.ts';
import type { MachineRecord } from '../record/machine-record.ts';
import { arrivalKey, hasImages, withoutImages } from './far-configuration.ts';
import type { FolderForm } from './folder-form.ts';

/** The folder of a machine as it is, with its snapshots, for another host. Nobody changes it meanwhile. */
export async function movedFolder(core: HostCore, machine: MachineRecord, { arrival }: FolderForm): Promise<Bundle> {
  const { datastore, vmxPath, configuration, vApp } = machine;
  const { folder, name: vmxName } = splitPath(vmxPath);
  await checkWhole(core, machine);
  const vmx = await readVmx(datastore, vmxPath);
  // What a suspended one remembers fits the machine that it was: nothing of that changes but where it is not found.
  if (hasImages(configuration))
    writeConfiguration(vmx, { ...withoutImages(configuration), nics: configuration.nics }, core.guestOs);
  vmx.set(arrivalKey, arrival);
  const entries: BundleEntry[] = [folderEntry('')];
  let bytes = 0;
  for (const name of await namesToCopy(machine, [])) {
    const path = joinPath(folder, name);
    bytes += (await stat(datastore.absolute(path))).blocks * 512;
    entries.push(await fileEntry(datastore, path, name));
  }
  const own = join(dirname(datastore.absolute(vmxPath)), '.hypo');
  const names = await ownFileNames(own);
  if (names.length > 0 || vApp !== undefined) entries.push(folderEntry('.hypo'));
  for (const name of names)
    entries.push(await fileEntry(datastore, joinPath(folder, `.hypo/${name}`), `.hypo/${name}`));
  if (vApp !== undefined) entries.push(contentEntry(vAppPath, Buffer.from(JSON.stringify(vApp)), 0o600));
  // Last: what has it is whole.
  entries.push(contentEntry(vmxName, Buffer.from(vmx.toString())));
  return { storedBytes: bytes, entries };
}

/** Throws where what belongs to the machine is not all in its folder, or belongs to others too. */
async function checkWhole(core: HostCore, machine: MachineRecord): Promise<void> {
  const { datastore, vmxPath, powerState, configuration } = machine;
  const { folder } = splitPath(vmxPath);
  if (powerState === 'suspended' && hasImages(configuration))
    throw fault(
      'InvalidPowerState',
      { requestedState: 'poweredOff', existingState: powerState },
      'The machine is suspended with images in its drives, which do not come to another host.',
    );
  if (folder === '')
    throw fault(
      'NotSupported',
      {},
      'The machine lies in the root of its datastore; move it to a folder of its own first.',
    );
  if (otherDatastores(machine).size > 0)
    throw fault('NotSupported', {}, 'The machine has disks on several datastores; bring them to one first.');
  if ([...foldersOfDisks(machine)].some((other) => other !== folder))
    throw fault(
      'NotSupported',
      {},
      'The machine stands on disks of another folder, as linked clones do; make it whole by PromoteDisks_Task first.',
    );
  if ((await core.diskChildren.held(datastore, [folder])).length > 0)
    throw fault('NotSupported', {}, 'Linked clones stand on disks of the machine, which stay where they are.');
}
