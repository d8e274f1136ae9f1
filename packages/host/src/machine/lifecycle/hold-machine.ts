import { fault, type RunningTask } from '@hypostyle/vim';
import type { HostCore } from '../../host-core.ts';
import { claimOf } from '../record/claims.ts';

/** Has the machine to itself; the answer lets go. `giveUp` as for `Claims.take`. */
export function holdMachine(
  core: Pick<HostCore, 'claims'>,
  task: RunningTask,
  id: string,
  giveUp: () => Promise<void> | undefined = () => undefined,
): () => void {
  const taken = () => fault('TaskInProgress', { task: task.ref }, 'Another task has the machine to itself.');
  return core.claims.take([claimOf.machine(id)], task.ref, taken, { giveUp });
}
