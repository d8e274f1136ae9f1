import type { Call } from '../../runtime/managed-object.ts';
import type { Session } from '../../runtime/session.ts';
import type { ManagedObjectReference } from '../../schema/values.ts';
import type { TaskFilterSpec, TaskInfoFilterSpec } from './task-history.ts';
import type { TaskKind } from './task-kind.ts';
import type { TaskInfo } from './task-record.ts';
import type { TrackedTask } from './tracked-task.ts';

/** What the managed objects of tasks need of the service behind them. */
export interface TaskOperations {
  readonly kinds: ReadonlyMap<string, TaskKind>;
  /** Description ids of tasks whose work is done elsewhere. */
  readonly foreignKinds: readonly string[];
  readonly history: {
    collect(
      session: Session,
      filter: TaskFilterSpec,
      infoFilter?: TaskInfoFilterSpec,
    ): Promise<ManagedObjectReference<'TaskHistoryCollector'>>;
  };
  startExternal(
    call: Call,
    spec: { obj: ManagedObjectReference; initiatedBy: string | undefined; info: Partial<TaskInfo> },
  ): Promise<TaskInfo>;
  tracked(ref: ManagedObjectReference): TrackedTask;
  mayCancel(call: Call): boolean;
  cancel(ref: ManagedObjectReference): Promise<void>;
  save(task: TrackedTask): Promise<void>;
  setState(
    task: TrackedTask,
    state: TaskInfo['state'],
    result: TaskInfo['result'],
    error: TaskInfo['error'],
  ): Promise<void>;
}
