import type { Draft } from '@hypostyle/vim';
import type { HostCore } from '../host-core.ts';
import type { MachineRecord } from './machine-record.ts';

/** Puts a machine's object into the inventory. */
export function addMachineObject(core: HostCore, draft: Draft, machine: MachineRecord): void {
  draft.add(core.inventory.machineClass, machine.id, {
    parent: core.vmFolder as never,
    resourcePool: machine.resourcePool,
    environmentBrowser: core.names.environmentBrowser,
    configStatus: 'green',
    recentTask: [],
    declaredAlarmState: [],
    triggeredAlarmState: [],
    alarmActionsEnabled: true,
    tag: [],
    permission: [],
    disabledMethod: [],
    customValue: [],
    availableField: [],
    value: [],
  });
}
