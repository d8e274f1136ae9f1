import { access, rm } from 'node:fs/promises';
import type { MachineHardware } from '@hypostyle/contracts';
import { toolsDiscImage } from '@hypostyle/services';
import { privatePath, writePrivate } from '../../vapp/vapp-file.ts';
import type { MachineRecord } from '../record/machine-record.ts';

type Place = Pick<MachineRecord, 'datastore' | 'vmxPath'>;

/** A private file of the machine's folder, there as long as it is in a drive. */
const discPath = ({ datastore, vmxPath }: Place): string => privatePath(datastore, vmxPath, 'tools.iso');

export async function putToolsDisc(machine: Place): Promise<void> {
  await writePrivate(discPath(machine), toolsDiscImage());
}

export async function removeToolsDisc(machine: Place): Promise<void> {
  await rm(discPath(machine), { force: true });
}

/** Absolute path of the disc that a run has in a drive; undefined where it has none. */
export async function findToolsDisc(machine: Place): Promise<string | undefined> {
  const path = discPath(machine);
  return access(path).then(
    () => path,
    () => undefined,
  );
}

/** The drive that takes the disc: the first that is empty, else the first, whose own image is back when it goes. */
export function withToolsDisc(hardware: MachineHardware, path: string | undefined): MachineHardware {
  const drive = hardware.cdroms.find((cdrom) => cdrom.path === undefined) ?? hardware.cdroms[0];
  if (path === undefined || drive === undefined) return hardware;
  return { ...hardware, cdroms: hardware.cdroms.map((cdrom) => (cdrom === drive ? { ...cdrom, path } : cdrom)) };
}
