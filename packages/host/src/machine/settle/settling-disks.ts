import { type SettlingDisk, settlingDisk } from '@hypostyle/services';
import { diskIdOf } from '../power/hardware.ts';
import type { MachineRecord } from '../record/machine-record.ts';

/** The disks of a machine that settle, as their descriptors say now: also those that others lie on. */
export async function settlingDisks({ configuration, datastore, disks }: MachineRecord): Promise<SettlingDisk[]> {
  const found: SettlingDisk[] = [];
  for (const disk of configuration.disks) {
    const chain = disks.get(disk.key)?.chain ?? [];
    for (const [at, [path]] of chain.entries()) {
      if (path === undefined) continue;
      const above = chain[at - 1]?.[1];
      const child = above === undefined ? undefined : datastore.absolute(above);
      const settling = await settlingDisk(datastore.absolute(path), diskIdOf(configuration, disk), child);
      if (settling !== undefined) found.push(settling);
    }
  }
  return found;
}
