import type { DataTypes } from '../../generated/types.ts';
import { fault, localizedFault } from '../../runtime/fault.ts';
import type { TaskInfo } from './task-record.ts';
import type { TrackedTask } from './tracked-task.ts';

/** How a task ended. */
export interface TaskOutcome {
  readonly result?: TaskInfo['result'];
  readonly error?: TaskInfo['error'];
  readonly completeTime?: TaskInfo['completeTime'];
}

/** The end of a task that was canceled. */
export function cancelled(): DataTypes['LocalizedMethodFault'] {
  return localizedFault(fault('RequestCanceled', {}, 'The task was canceled by a user.'));
}

/** The end of a task that a restart cut off, and that cannot go on. */
export function interrupted(task: TrackedTask): DataTypes['LocalizedMethodFault'] {
  const reason =
    task.info.state === 'queued'
      ? 'The management service restarted before the task began, and does not know this kind of task any more.'
      : 'The management service restarted while the task ran. What it had done until then stands.';
  return localizedFault(fault('SystemError', { reason }, reason));
}
