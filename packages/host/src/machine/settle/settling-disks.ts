import { type SettlingDisk, settlingDisk } from '@hypostyle/services';
import { diskIdOf } from '../power/hardware.ts';
import type { MachineRecord } from '../record/machine-record.ts';

/** The disks of a machine that settle, as their descriptors say now: also those that others lie on. */
export async function settlingDisks({ configuration, datastore, disks }: MachineRecord): Promise<SettlingDisk[]> {
  const found: SettlingDisk[] = [];
  for (const disk of configuration.disks) {
    for (const [path] of disks.get(disk.key)?.chain ?? []) {
      if (path === undefined) continue;
      const settling = await settlingDisk(datastore.absolute(path), diskIdOf(configuration, disk));
      if (settling !== undefined) found.push(settling);
    }
  }
  return found;
}
