import { fault, type RunningTask } from '@hypostyle/vim';
import type { HostCore } from '../../host-core.ts';
import { claimOf } from '../record/claims.ts';

/** Has the machine to itself; the answer lets go. */
export function holdMachine(core: Pick<HostCore, 'claims'>, task: RunningTask, id: string): () => void {
  return core.claims.take([claimOf.machine(id)], task.ref, () =>
    fault('TaskInProgress', { task: task.ref }, 'Another task has the machine to itself.'),
  );
}
