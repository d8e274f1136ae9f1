import type { BusyCheck, DatastoreRoot } from '@hypostyle/services';
import type { HostCore } from '../host-core.ts';
import { claimOf } from '../machine/record/claims.ts';
import { heldDisks } from '../machine/record/held-files.ts';
import type { MachineRecord } from '../machine/record/machine-record.ts';

type Core = Pick<HostCore, 'machines' | 'claims' | 'datastores'>;

/** True for the files of machines that run or are suspended, and disks that a task works on: nobody moves, writes or deletes them. */
export function busyFiles({ machines, claims, datastores }: Core): BusyCheck {
  return (root, path) => {
    const uuid = datastores.find(root.name)?.uuid ?? '';
    if (claims.holder(claimOf.place(uuid, path)) !== undefined) return true;
    if (claims.isWithin(claimOf.diskReader(uuid, path))) return true;
    for (const machine of machines.all()) if (uses(machine, root, path)) return true;
    return false;
  };
}

/** True for files that change under whoever reads them: what an engine writes. */
export function writtenFiles({ machines }: Pick<Core, 'machines'>): BusyCheck {
  return (root, path) => {
    for (const machine of machines.all()) {
      if (machine.powerState !== 'poweredOn') continue;
      const is = sameFile(machine, root, path);
      if ([...machine.disks.values()].some(({ chain: [top] }) => top?.some(is))) return true;
    }
    return false;
  };
}

function uses(machine: MachineRecord, root: DatastoreRoot, path: string): boolean {
  if (machine.powerState === 'poweredOff') return false;
  const is = sameFile(machine, root, path);
  if (heldDisks(machine).some(({ chain }) => chain.some((files) => files.some(is)))) return true;
  if (machine.datastore.name !== root.name) return false;
  if (machine.vmxPath === path) return true;
  // Memory of a suspended machine is as good as its disks: whoever writes it says what the guest goes on with.
  if (machine.files.list.some((file) => file.path === path && /^(suspend|nvram)$/.test(file.type))) return true;
  return machine.datastore.relative(machine.vmxPath, machine.configuration.nvram) === path;
}

/** Whether a path of a machine leads to a file of a datastore. */
function sameFile({ datastore }: MachineRecord, root: DatastoreRoot, path: string): (file: string) => boolean {
  if (datastore.name === root.name) return (file) => file === path;
  return (file) => {
    if (!file.startsWith('/')) return false;
    const at = datastore.locate(file);
    return at.datastore.name === root.name && at.path === path;
  };
}
