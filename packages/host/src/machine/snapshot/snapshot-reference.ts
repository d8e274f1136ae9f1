import { reference } from '@hypostyle/services';
import type { ManagedObjectReference } from '@hypostyle/vim';

export type SnapshotReference = ManagedObjectReference<'VirtualMachineSnapshot'>;

/** Reference of a snapshot: `12-snapshot-3`. */
export function snapshotReference(machineId: string, uid: number): SnapshotReference {
  return reference('VirtualMachineSnapshot', `${machineId}-snapshot-${uid}`);
}

/** Machine and uid of a snapshot's reference. */
export function parseSnapshotReference({ value }: { readonly value: string }): {
  readonly machineId: string;
  readonly uid: number;
} {
  const [machineId = '', uid = ''] = value.split('-snapshot-');
  return { machineId, uid: Number(uid) };
}
