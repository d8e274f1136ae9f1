import { type DiskDamage, faults } from '@hypostyle/services';
import { fault, type VimFault } from '@hypostyle/vim';
import type { MachineRecord } from '../record/machine-record.ts';

export function noRoomFault({ datastore, configuration }: MachineRecord): VimFault {
  return faults.noSpace(`the disks of '${configuration.name}'`, datastore.name);
}

export function damageFault(error: DiskDamage): VimFault {
  return fault('InvalidDiskFormat', {}, `${error.message}. Deploy the machine again from a good copy.`, {
    cause: error,
  });
}
