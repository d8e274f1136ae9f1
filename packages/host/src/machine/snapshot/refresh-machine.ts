import type { HostCore } from '../../host-core.ts';
import type { MachineRecord } from '../record/machine-record.ts';
import { type FolderFacts, readMachine } from '../registration/registration.ts';
import { showSnapshots } from './show-snapshots.ts';

/** Takes over what a machine's folder says now, or what was read of it since it last changed. */
export async function refreshMachine(
  core: HostCore,
  id: string,
  reading?: Promise<FolderFacts>,
): Promise<MachineRecord> {
  const machine = core.machines.get({ type: 'VirtualMachine', value: id });
  // What is known of changes is told by those who change it, in their turn.
  const { changes: _told, ...now } = await (reading ?? readMachine(core, machine.datastore, machine.vmxPath));
  const configuration = { ...now.configuration, name: machine.configuration.name };
  core.registry.commit((draft) => {
    core.machines.change(id, { ...now, configuration }, draft);
    core.inventory.networksChanged(draft);
    showSnapshots(core, draft, id, machine);
  });
  return core.machines.get({ type: 'VirtualMachine', value: id });
}
