import { quietEntity } from '@hypostyle/services';
import type { Draft } from '@hypostyle/vim';
import type { HostCore } from '../../host-core.ts';
import type { MachineRecord } from '../record/machine-record.ts';
import { showSnapshots } from '../snapshot/show-snapshots.ts';

/** Puts a machine's object into the inventory. */
export function addMachineObject(core: HostCore, draft: Draft, machine: MachineRecord): void {
  draft.add(core.inventory.machineClass, machine.id, {
    ...quietEntity,
    parent: core.vmFolder,
    environmentBrowser: core.names.environmentBrowser,
  });
  showSnapshots(core, draft, machine.id, undefined);
}
