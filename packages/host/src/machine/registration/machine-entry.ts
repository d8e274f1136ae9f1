import { quietEntity } from '@hypostyle/services';
import type { Draft } from '@hypostyle/vim';
import type { HostCore } from '../../host-core.ts';
import type { MachineRecord } from '../record/machine-record.ts';

/** Puts a machine's object into the inventory. */
export function addMachineObject(core: HostCore, draft: Draft, machine: MachineRecord): void {
  draft.add(core.inventory.machineClass, machine.id, {
    ...quietEntity,
    parent: core.vmFolder,
    rootSnapshot: [],
    environmentBrowser: core.names.environmentBrowser,
  });
}
