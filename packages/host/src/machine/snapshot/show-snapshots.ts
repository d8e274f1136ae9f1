import type { Draft } from '@hypostyle/vim';
import type { HostCore } from '../../host-core.ts';
import type { MachineRecord } from '../record/machine-record.ts';
import { snapshotReference } from './snapshot-reference.ts';

/** Makes the inventory show the snapshots that a machine has, and no others; after its record was changed. */
export function showSnapshots(
  core: Pick<HostCore, 'machines' | 'inventory'>,
  draft: Draft,
  machineId: string,
  before: Pick<MachineRecord, 'snapshots'> | undefined,
): void {
  const machine = core.machines.find(machineId);
  const now = new Set((machine?.snapshots.entries ?? []).map(({ uid }) => uid));
  for (const { uid } of before?.snapshots.entries ?? []) {
    const ref = snapshotReference(machineId, uid);
    if (!now.has(uid) && draft.has(ref)) draft.remove(ref);
  }
  if (machine === undefined) return;
  for (const uid of now) {
    const ref = snapshotReference(machineId, uid);
    if (draft.has(ref)) for (const property of ['config', 'childSnapshot'] as const) draft.touch(ref, property);
    else draft.add(core.inventory.snapshotClass, ref.value, { vm: machine.ref });
  }
}
