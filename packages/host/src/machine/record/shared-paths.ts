import { fault } from '@hypostyle/vim';
import { isShared } from '../../configuration/shared-disk.ts';
import type { Datastore } from '../../datastore/datastore.ts';
import type { HostCore } from '../../host-core.ts';
import { claimOf } from './claims.ts';
import { asHeld } from './held-files.ts';
import type { MachineRecord } from './machine-record.ts';

/** Descriptors of the disks that a machine shares with others, by the paths that machines of a datastore have. */
export function sharedPaths(machine: MachineRecord, datastore: Datastore = machine.datastore): Set<string> {
  const { configuration } = machine;
  const { disks } = asHeld(machine, datastore);
  return new Set(
    configuration.disks.flatMap((disk) => {
      const top = isShared(configuration, disk) ? disks.get(disk.key)?.chain[0]?.[0] : undefined;
      return top === undefined ? [] : [top];
    }),
  );
}

/**
 * Throws FileLocked where a machine that is off shares a disk with one that is not: its bytes change while they are
 * read, or are moved from under the other.
 */
export function mustShareWithNone(core: Pick<HostCore, 'machines'>, machine: MachineRecord): void {
  const own = sharedPaths(machine);
  if (own.size === 0) return;
  for (const other of core.machines.all()) {
    if (other.id === machine.id || other.powerState === 'poweredOff') continue;
    for (const path of sharedPaths(other, machine.datastore)) {
      if (!own.has(path)) continue;
      const file = machine.datastore.format(path);
      throw fault('FileLocked', { file }, `The disk ${file} is written by '${other.configuration.name}'.`);
    }
  }
}

/** Throws TaskInProgress where the disks of a machine are being read, while another one is about to write them. */
export function mustNotBeCopied({ claims }: Pick<HostCore, 'claims'>, { id, configuration }: MachineRecord): void {
  const held = [claimOf.machine(id), claimOf.exporting(id), claimOf.copying(id)];
  const task = held.map((prefix) => claims.holderWithin(prefix)).find((holder) => holder !== undefined);
  if (task === undefined) return;
  throw fault('TaskInProgress', { task }, `'${configuration.name}', which shares a disk with it, is being copied.`);
}
