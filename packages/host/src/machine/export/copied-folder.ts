import {
  type Bundle,
  type BundleEntry,
  contentEntry,
  fileStem,
  flatDiskEntries,
  folderEntry,
  readDiskChain,
  storedBytes,
} from '@hypostyle/services';
import { fault } from '@hypostyle/vim';
import { writeConfiguration } from '../../configuration/to-vmx.ts';
import type { HostCore } from '../../host-core.ts';
import { vAppPath } from '../../vapp/vapp-file.ts';
import { copiedConfiguration, withoutOriginal } from '../clone/clone-configuration.ts';
import { readState } from '../clone/source-reads.ts';
import { adapterOf } from '../files/disk-effects.ts';
import { diskPath } from '../files/machine-files.ts';
import { freeSocketPath } from '../files/socket-path.ts';
import type { MachineRecord } from '../record/machine-record.ts';
import { exportedView } from './export-work.ts';
import { arrivalKey, withoutImages } from './far-configuration.ts';
import type { FolderForm } from './folder-form.ts';

/**
 * The folder of a machine that is made of this one, on another host: who it is, is new, and each of its disks has all of
 * its bytes in one flat file. Nobody writes what is copied meanwhile.
 */
export async function copiedFolder(core: HostCore, machine: MachineRecord, form: FolderForm): Promise<Bundle> {
  const { name, instanceUuid, arrival, snapshot, allocations } = form;
  const source = exportedView(
    machine,
    snapshot === undefined ? { kind: 'machine', writable: false } : { kind: 'snapshot', uid: snapshot.uid },
  );
  const stem = fileStem(name);
  const copied = copiedConfiguration(source.configuration, { name, stem, from: machine });
  const files = await readState({ machine, uid: snapshot?.uid });
  const vmx = withoutOriginal(files.vmx);
  const vApp = source.configuration.hasVApp ? machine.vApp : undefined;
  const configuration = withoutImages({
    ...copied,
    instanceUuid,
    template: false,
    hasVApp: vApp !== undefined,
  });
  writeConfiguration(vmx, configuration, core.guestOs);
  vmx.set(arrivalKey, arrival);
  const entries: BundleEntry[] = [folderEntry('')];
  let bytes = 0;
  for (const [index, disk] of source.configuration.disks.entries()) {
    const facts = source.disks.get(disk.key);
    if (facts === undefined || facts.problem !== undefined)
      throw fault('FileFault', { file: disk.fileName }, facts?.problem ?? 'The disk cannot be read.');
    const path = diskPath(machine.datastore, machine.vmxPath, disk.fileName);
    const chain = await readDiskChain(path, { allowOutside: (file) => machine.datastore.holds(file) });
    const allocation = allocations.get(disk.key) ?? (facts.thin ? 'thin' : 'thick');
    const at = machine.datastore.locate(machine.datastore.pathOf(path));
    bytes += allocation === 'thin' ? Math.min(facts.capacityBytes, await storedBytes(chain)) : facts.capacityBytes;
    entries.push(
      ...flatDiskEntries({
        place: {
          root: at.datastore,
          path: at.path,
          images: core.hypervisor.images,
          socketPath: () => freeSocketPath(core),
        },
        capacityBytes: facts.capacityBytes,
        name: copied.disks[index]?.fileName ?? '',
        allocation,
        adapter: adapterOf(source.configuration, disk.key),
        hardwareVersion: source.configuration.hardwareVersion,
      }),
    );
  }
  if (files.nvram !== undefined) entries.push(contentEntry(configuration.nvram, files.nvram));
  if (vApp !== undefined) {
    entries.push(folderEntry('.hypo'), contentEntry(vAppPath, Buffer.from(JSON.stringify(vApp)), 0o600));
  }
  // Last: what has it is whole.
  entries.push(contentEntry(`${stem}.vmx`, Buffer.from(vmx.toString())));
  return { storedBytes: bytes, entries };
}
