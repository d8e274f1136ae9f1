import { fault, type RunningTask, VimFault } from '@hypostyle/vim';
import type { CenterCore } from '../center-core.ts';
import type { Forwarding } from '../forwarding/forwarding.ts';
import { isShown, type MachineDocument, referenceOf } from '../inventory/entity-document.ts';

/**
 * Destroys a machine with its files as part of a task, such as that of its folder. One that is gone already is no
 * error. Throws HostNotConnected, InvalidPowerState, TaskInProgress for one that is just being made.
 */
export async function destroyMachine(
  core: CenterCore,
  forwarding: Forwarding,
  task: RunningTask,
  machine: MachineDocument,
  { again = false }: { readonly again?: boolean } = {},
): Promise<void> {
  if (!isShown(machine))
    throw fault('TaskInProgress', { task: task.ref }, `The machine '${machine.name}' is just being made.`);
  const link = await core.hosts.forWork(machine.host, { again });
  try {
    const self = () => core.hosts.route(referenceOf(machine)).ref;
    await forwarding.step(task, link, self, 'Destroy_Task', {}, { again, part: machine.value });
  } catch (error) {
    if (!(error instanceof VimFault) || error.type !== 'ManagedObjectNotFound') throw error;
  }
}
