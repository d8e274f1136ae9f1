import type { ManagedObject, ManagedObjectClass } from '@hypostyle/vim';
import type { HostCore } from '../../host-core.ts';
import { configInfo } from '../../projection/config-info.ts';
import { snapshotChangeIds } from '../changes/change-ids.ts';
import type { ExportWork } from '../export/export-work.ts';
import type { MachineRecord } from '../record/machine-record.ts';
import { childrenOf } from './snapshot-list.ts';
import { parseSnapshotReference, snapshotReference } from './snapshot-reference.ts';
import type { SnapshotWork } from './snapshot-work.ts';

/** VirtualMachineSnapshot: what the machine was, and what is done with that. */
export function snapshotClass(
  core: HostCore,
  work: SnapshotWork,
  exporting: ExportWork,
): ManagedObjectClass<'VirtualMachineSnapshot'> {
  const machineOf = (self: ManagedObject) => core.machines.find(parseSnapshotReference(self.ref).machineId);
  return {
    type: 'VirtualMachineSnapshot',
    derived: {
      config: {
        from: [],
        compute: (self) => snapshotConfig(core, machineOf(self), parseSnapshotReference(self.ref).uid),
      },
      childSnapshot: {
        from: [],
        compute: (self) => {
          const { machineId, uid } = parseSnapshotReference(self.ref);
          const entries = machineOf(self)?.snapshots.entries ?? [];
          return childrenOf(entries, uid).map((child) => snapshotReference(machineId, child.uid));
        },
      },
    },
    methods: {
      RevertToSnapshot_Task: (call, { host, suppressPowerOn }) =>
        work.revert(call, parseSnapshotReference(call.self.ref), { host, suppressPowerOn: suppressPowerOn ?? false }),
      RemoveSnapshot_Task: (call, { removeChildren, consolidate }) =>
        work.remove(call, parseSnapshotReference(call.self.ref), { removeChildren, consolidate: consolidate ?? true }),
      ExportSnapshot: async (call) => {
        const { machineId, uid } = parseSnapshotReference(call.self.ref);
        const machine = core.machines.get({ type: 'VirtualMachine', value: machineId });
        return (await exporting.begin(call, machine, { kind: 'snapshot', uid })).ref;
      },
      RenameSnapshot: (call, { name, description }) =>
        work.rename(call, parseSnapshotReference(call.self.ref), { name, description }),
    },
  };
}

function snapshotConfig(core: HostCore, machine: MachineRecord | undefined, uid: number) {
  const view = machine?.snapshots.views.get(uid);
  if (machine === undefined || view === undefined) return undefined;
  const { configuration, disks } = view;
  const then: MachineRecord = {
    ...machine,
    configuration,
    disks,
    powerState: 'poweredOff',
    guestEnvironment: undefined,
  };
  return configInfo(then, core.names, snapshotChangeIds(machine, uid));
}
