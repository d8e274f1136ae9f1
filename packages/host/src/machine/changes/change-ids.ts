import type { DiskFacts, MachineRecord } from '../record/machine-record.ts';
import { formatChangeId } from './change-id.ts';
import { idOf } from './tracked-disk.ts';
import { baseNameOf, findTracked } from './tracked-files.ts';

type Machine = Pick<MachineRecord, 'changes' | 'configuration' | 'powerState' | 'vmxPath'>;

/** `backing.changeId` of a machine's disks by device key, as far as what changes from now on will be known. */
export function changeIdsOf(machine: MachineRecord): Map<number, string> {
  return idsOf(machine, machine.disks);
}

/** As `changeIdsOf`, of disks as a snapshot has them. */
export function snapshotChangeIds(machine: MachineRecord, uid: number): Map<number, string> {
  return idsOf(machine, machine.snapshots.views.get(uid)?.disks ?? new Map(), uid);
}

function idsOf(machine: Machine, disks: ReadonlyMap<number, DiskFacts>, uid?: number): Map<number, string> {
  const ids = new Map<number, string>();
  if (!machine.configuration.changeTracking) return ids;
  for (const [key, facts] of disks) {
    const tracked = findTracked(machine.changes, baseNameOf(machine, facts));
    // One that was open when its engine was lost is over.
    if (tracked?.epoch === undefined || (tracked.epoch.closed === undefined) !== (machine.powerState === 'poweredOn'))
      continue;
    const id = idOf(tracked, uid);
    if (id !== undefined) ids.set(key, formatChangeId(id));
  }
  return ids;
}
