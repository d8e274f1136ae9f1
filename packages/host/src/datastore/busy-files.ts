import type { BusyCheck } from '@hypostyle/services';
import { heldDisks } from '../machine/record/held-files.ts';
import type { Machines } from '../machine/record/machines.ts';

/** True for the files of machines that run or are suspended: nobody moves, writes or deletes them. */
export function busyFiles(machines: Machines): BusyCheck {
  return (root, path) => {
    for (const machine of machines.all()) {
      if (machine.powerState === 'poweredOff' || machine.datastore.name !== root.name) continue;
      if (machine.vmxPath === path) return true;
      // Memory of a suspended machine is as good as its disks: whoever writes it says what the guest goes on with.
      if (machine.files.list.some((file) => file.path === path && /^(suspend|nvram)$/.test(file.type))) return true;
      if (machine.datastore.relative(machine.vmxPath, machine.configuration.nvram) === path) return true;
      if (heldDisks(machine).some(({ chain }) => chain.some((files) => files.includes(path)))) return true;
    }
    return false;
  };
}
