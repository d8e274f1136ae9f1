import type { DataTypes } from '../../generated/types.ts';
import type { Draft, Registry } from '../../runtime/registry.ts';
import type { ManagedObjectReference } from '../../schema/values.ts';
import type { EventPoster } from '../events/event-poster.ts';
import type { AlarmInfo } from './alarm-definition.ts';
import type { StatusChange } from './alarm-evaluation.ts';
import type { EntityReference } from './alarm-states.ts';
import type { PostedEvent } from './event-condition.ts';

/** The events that alarms wait for, and where they post their own. */
export interface EventSource extends EventPoster {
  /** The EventManager, whose `latestEvent` is followed where there is no `onPosted`. */
  readonly ref: ManagedObjectReference<'EventManager'>;
  /** Tells of every event, once its commit has become true; the answer takes the listener back. */
  onPosted?(listener: (event: PostedEvent) => void): () => void;
}

/** Tells of events as they are posted: without `onPosted` only of the last one of each commit. */
export function followEvents(
  registry: Registry,
  source: EventSource,
  listener: (event: PostedEvent) => void,
): () => void {
  if (source.onPosted !== undefined) return source.onPosted(listener);
  let latest = registry.get(source.ref)?.value('latestEvent');
  return registry.onCommit(() => {
    const event = registry.get(source.ref)?.value('latestEvent');
    if (event === latest) return;
    latest = event;
    if (event !== undefined) listener(event as PostedEvent);
  });
}

const words: Readonly<Record<string, string>> = { gray: 'Gray', green: 'Green', yellow: 'Yellow', red: 'Red' };

/** The events of alarms. `entity` is where the alarm is or was triggered, `source` where it is defined. */
export class AlarmEvents {
  readonly #registry: Registry;
  readonly #events: EventPoster;

  constructor(registry: Registry, events: EventPoster) {
    this.#registry = registry;
    this.#events = events;
  }

  created(draft: Draft, info: Pick<AlarmInfo, 'name' | 'alarm' | 'entity'>, userName: string): number {
    return this.#defined(draft, 'AlarmCreatedEvent', 'Created', info, userName);
  }

  reconfigured(draft: Draft, info: AlarmInfo, userName: string, modified: string): void {
    this.#defined(draft, 'AlarmReconfiguredEvent', 'Reconfigured', info, userName, { configChanges: { modified } });
  }

  removed(draft: Draft, info: AlarmInfo, userName: string): void {
    this.#defined(draft, 'AlarmRemovedEvent', 'Removed', info, userName);
  }

  statusChanged(draft: Draft, { definition: { info }, entity, from, to }: StatusChange): number {
    const message = `Alarm '${info.name}' on ${this.#name(entity)} changed from ${words[from]} to ${words[to]}`;
    return this.#on(draft, 'AlarmStatusChangedEvent', info, entity, '', message, { from, to });
  }

  acknowledged(draft: Draft, info: AlarmInfo, entity: EntityReference, userName: string): void {
    const message = `Acknowledged alarm '${info.name}' on ${this.#name(entity)}`;
    this.#on(draft, 'AlarmAcknowledgedEvent', info, entity, userName, message);
  }

  cleared(draft: Draft, info: AlarmInfo, entity: EntityReference, userName: string, from: string): void {
    const message = `Manually cleared alarm '${info.name}' on ${this.#name(entity)} from ${words[from]}`;
    this.#on(draft, 'AlarmClearedEvent', info, entity, userName, message, { from });
  }

  actionTriggered(draft: Draft | undefined, info: AlarmInfo, entity: EntityReference): void {
    const message = `Alarm '${info.name}' on ${this.#name(entity)} triggered an action`;
    this.#on(draft, 'AlarmActionTriggeredEvent', info, entity, '', message);
  }

  async flush(): Promise<void> {
    await this.#events.flush();
  }

  #defined(
    draft: Draft,
    type: keyof DataTypes,
    verb: string,
    { name, alarm, entity }: Pick<AlarmInfo, 'name' | 'alarm' | 'entity'>,
    userName: string,
    more: object = {},
  ): number {
    return this.#events.post(draft, {
      type,
      // An entity that is gone has no place of its own any more.
      entity: draft.has(entity) ? entity : undefined,
      userName,
      message: `${verb} alarm '${name}' on ${this.#name(entity)}`,
      members: { alarm: { name, alarm }, entity: this.#argument(entity), ...more },
    });
  }

  #on(
    draft: Draft | undefined,
    type: keyof DataTypes,
    info: AlarmInfo,
    entity: EntityReference,
    userName: string,
    message: string,
    more: object = {},
  ): number {
    return this.#events.post(draft, {
      type,
      entity,
      userName,
      message,
      members: {
        alarm: { name: info.name, alarm: info.alarm },
        source: this.#argument(info.entity),
        entity: this.#argument(entity),
        ...more,
      },
    });
  }

  #argument(entity: EntityReference) {
    return { name: this.#name(entity), entity };
  }

  #name(entity: EntityReference): string {
    const name = this.#registry.get(entity)?.value('name');
    return typeof name === 'string' ? name : entity.value;
  }
}
