import type { Authorizer } from '../../runtime/authorizer.ts';
import type { Registry } from '../../runtime/registry.ts';
import type { Clock } from '../clock.ts';
import type { EventPoster } from '../events/event-poster.ts';
import type { Persistence } from '../persistence.ts';

export interface TaskServiceOptions {
  readonly registry: Registry;
  readonly persistence: Persistence;
  readonly events: EventPoster;
  readonly authorizer: Authorizer;
  readonly clock?: Clock;
  /** Reference value of the TaskManager. */
  readonly referenceValue?: string;
  /** Description ids of tasks whose work is done elsewhere, such as those of hosts: to be described as the own kinds are. */
  readonly foreignKinds?: readonly string[];
  /** Reference value of a task by its number, which is never reused. */
  readonly taskReferenceValue?: (number: number) => string;
  /** Most heavy tasks that run at a time. */
  readonly heavyLimit?: number;
  /** Most tasks that are queued or running. */
  readonly unfinishedLimit?: number;
  /** How long a finished task stays an object, in milliseconds. */
  readonly keepFinished?: number;
  /** Most finished tasks that stay objects. */
  readonly keepFinishedLimit?: number;
  /** Most tasks of the history. */
  readonly historyLimit?: number;
  /** Told of errors that are ours: work that failed with something other than a fault, records that could not be written. */
  readonly onDefect?: (where: string, error: unknown) => void;
}
