import type { Draft } from '../../runtime/registry.ts';
import type { Clock } from '../clock.ts';
import { matchingTransition, type PlannedAction } from './alarm-actions.ts';
import type { AlarmDefinition } from './alarm-definition.ts';
import { type EntityReference, stateKey } from './alarm-states.ts';
import type { Status } from './status.ts';

/** Calls a method on an entity as the system. */
export type PerformMethod = (
  entity: EntityReference,
  method: string,
  args: Readonly<Record<string, unknown>>,
) => Promise<unknown>;

export interface ActionRunnerOptions {
  readonly clock: Clock;
  readonly perform: PerformMethod;
  /** Whether actions are enabled on the entity, and the alarm is not acknowledged. */
  readonly mayRun: (definition: AlarmDefinition, entity: EntityReference) => boolean;
  /** Tells that an action runs, in the given commit or in one of its own. */
  readonly announce: (draft: Draft | undefined, definition: AlarmDefinition, entity: EntityReference) => void;
  readonly onDefect: (where: string, error: unknown) => void;
}

/** Runs what alarms do when they change, again and again where that is wanted. */
export class ActionRunner {
  readonly #options: ActionRunnerOptions;
  /** Repeated actions by alarm and entity. */
  readonly #repeats = new Map<string, (() => void)[]>();

  constructor(options: ActionRunnerOptions) {
    this.#options = options;
  }

  /** The alarm changed in a commit under way. */
  changed(draft: Draft, definition: AlarmDefinition, entity: EntityReference, from: Status, to: Status): void {
    const key = stateKey({ alarm: definition.ref, entity });
    this.#stop(key);
    for (const action of definition.actions) {
      const transition = matchingTransition(action, from, to);
      if (transition === undefined) continue;
      if (this.#options.mayRun(definition, entity)) this.#run(draft, definition, entity, action);
      if (transition.repeats) this.#repeat(key, definition, entity, action);
    }
  }

  /** An event that leaves the status alone: everything is run. */
  all(draft: Draft, definition: AlarmDefinition, entity: EntityReference): void {
    if (!this.#options.mayRun(definition, entity)) return;
    for (const action of definition.actions) this.#run(draft, definition, entity, action);
  }

  /** Ends what is repeated for alarms and entities whose key passes. */
  stop(ends: (key: string) => boolean): void {
    for (const key of [...this.#repeats.keys()]) if (ends(key)) this.#stop(key);
  }

  #stop(key: string): void {
    for (const cancel of this.#repeats.get(key) ?? []) cancel();
    this.#repeats.delete(key);
  }

  #repeat(key: string, definition: AlarmDefinition, entity: EntityReference, action: PlannedAction): void {
    const seconds = definition.info.actionFrequency ?? 0;
    if (seconds === 0) return;
    const { clock, mayRun } = this.#options;
    const cancels = this.#repeats.get(key) ?? [];
    this.#repeats.set(key, cancels);
    const place = cancels.length;
    const next = () => {
      cancels[place] = clock.after(seconds * 1_000, () => {
        if (mayRun(definition, entity)) this.#run(undefined, definition, entity, action);
        next();
      });
    };
    next();
  }

  #run(draft: Draft | undefined, definition: AlarmDefinition, entity: EntityReference, action: PlannedAction): void {
    const { perform, announce, onDefect } = this.#options;
    announce(draft, definition, entity);
    const { method, args } = action;
    const call = () => {
      perform(entity, method.name, args).catch((error: unknown) => onDefect(`alarm action ${method.name}`, error));
    };
    // Never within a commit, which the method may want to make itself.
    if (draft === undefined) queueMicrotask(call);
    else draft.onApplied(() => queueMicrotask(call));
  }
}
