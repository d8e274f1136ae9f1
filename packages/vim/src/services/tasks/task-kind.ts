import type { DataTypes, ManagedTypes } from '../../generated/types.ts';
import type { Draft } from '../../runtime/registry.ts';
import type { ManagedObjectReference } from '../../schema/values.ts';
import type { EventRequest } from '../events/event-poster.ts';

type LocalizableMessage = DataTypes['LocalizableMessage'];
type TaskReason = DataTypes['TaskReason'];
type MethodNames = { [T in keyof ManagedTypes]: keyof ManagedTypes[T]['methods'] & string }[keyof ManagedTypes];

/** A task under way, as the work sees it. */
export interface RunningTask {
  readonly ref: ManagedObjectReference<'Task'>;
  readonly entity: ManagedObjectReference | undefined;
  /** Who asked for it; empty for the system. */
  readonly userName: string;
  /** Chain of the task's events. */
  readonly chainId: number;
  /** Fires when somebody cancels the task. Reject with its reason to end as cancelled. */
  readonly signal: AbortSignal;
  /** What was journaled last; undefined at first. */
  readonly journaled: unknown;
  /** Percent done, 0 to 100; seen by clients at most every 500 ms. */
  progress(percent: number): void;
  describe(message: string | LocalizableMessage): void;
  /** Writes down the next step before it is done, in place of the one before: durable when it resolves. JSON only. */
  journal(step: unknown): Promise<void>;
  /** Posts an event in the task's chain, by the task's user. */
  post(draft: Draft | undefined, event: EventRequest): number;
}

/** What tasks of one kind do. A kind is registered at start, so that tasks can go on after a restart. */
export interface TaskKind<Input = unknown> {
  /** Method that starts it, for `TaskInfo.name`. */
  readonly method?: MethodNames;
  /** True when clients may cancel it; a request may say otherwise. */
  readonly cancelable?: boolean;
  /** True when only a few may run at a time in the whole service. */
  readonly heavy?: boolean;
  /**
   * What `run` is to journal first, found out before the task is durable, while those behind it wait: written down with
   * the task, so that `run` finds it `journaled`. Changes nothing. Asked only where it is the task's turn at once, and of
   * no use where it rejects: `run` plans for itself then.
   */
  plan?(input: Input): Promise<unknown>;
  /** Does the work; the answer is `TaskInfo.result`. `input` is what the request gave, as JSON keeps it. */
  run(task: RunningTask, input: Input): Promise<unknown>;
  /** Goes on after a restart in the middle of `run`, or of `resume`. Without it the task ends in error. */
  resume?(task: RunningTask, input: Input): Promise<unknown>;
}

export interface TaskRequest<Input = unknown> {
  /** Kind as defined, in VMODL spelling such as `VirtualMachine.powerOn`: becomes `TaskInfo.descriptionId`. */
  readonly kind: string;
  /** JSON only (and `bigint`): kept until the task is over. */
  readonly input: Input;
  /** What it works on; the called object when left out. */
  readonly entity?: ManagedObjectReference | undefined;
  readonly entityName?: string | undefined;
  /** Tasks of one key go one at a time, in order. */
  readonly queueKey?: string | undefined;
  /** It goes together with those beside it in that queue that are shared too. */
  readonly queueShared?: boolean;
  readonly cancelable?: boolean | undefined;
  readonly parentTaskKey?: string | undefined;
  readonly activationId?: string | undefined;
}

/** Starts a task that no client called for. */
export interface TaskOrigin {
  /** TaskReasonSystem when left out. */
  readonly reason?: TaskReason;
  readonly userName?: string;
}
