import type { Schema } from '../../schema/schema.ts';
import type { AlarmDefinition } from './alarm-definition.ts';
import type { EventLeaf } from './alarm-expression.ts';

/** A condition of an alarm on events of some type. */
export interface EventInterest {
  readonly definition: AlarmDefinition;
  readonly leaf: EventLeaf;
}

/** Most kinds of events whose interests are remembered: ids of extensions' events are without number. */
const rememberedEvents = 1_000;

/** All alarms, found by entity, by what they look at, and by the events that they wait for. */
export class AlarmDefinitions {
  readonly #schema: Schema;
  readonly #all = new Map<string, AlarmDefinition>();
  readonly #byEntity = new Map<string, readonly AlarmDefinition[]>();
  readonly #watched = new Map<string, readonly string[]>();
  readonly #interests = new Map<string, readonly EventInterest[]>();

  constructor(schema: Schema) {
    this.#schema = schema;
  }

  get(alarm: string): AlarmDefinition | undefined {
    return this.#all.get(alarm);
  }

  all(): AlarmDefinition[] {
    return [...this.#all.values()];
  }

  on(entity: string): readonly AlarmDefinition[] {
    return this.#byEntity.get(entity) ?? [];
  }

  set(definition: AlarmDefinition): void {
    this.#all.set(definition.ref.value, definition);
    this.#reindex(definition.info.entity.value);
  }

  delete(definition: AlarmDefinition): void {
    this.#all.delete(definition.ref.value);
    this.#reindex(definition.info.entity.value);
  }

  /** Properties of objects of that type that any alarm looks at. */
  watched(type: string): readonly string[] {
    let watched = this.#watched.get(type);
    if (watched === undefined) {
      watched = [...new Set(this.all().flatMap(({ expression }) => expression.watched(type)))];
      this.#watched.set(type, watched);
    }
    return watched;
  }

  interestedIn(eventType: string, eventTypeId: string): readonly EventInterest[] {
    const key = `${eventType} ${eventTypeId}`;
    let interests = this.#interests.get(key);
    if (interests === undefined) {
      interests = this.all()
        .filter(({ info }) => info.enabled)
        .flatMap((definition) =>
          definition.expression.events
            .filter(({ condition }) => condition.concerns(eventType, eventTypeId))
            .map((leaf) => ({ definition, leaf })),
        );
      if (this.#interests.size >= rememberedEvents) this.#interests.clear();
      this.#interests.set(key, interests);
    }
    return interests;
  }

  isEntityType(type: string): boolean {
    return this.#schema.isSubtype(type, 'ManagedEntity');
  }

  #reindex(entity: string): void {
    this.#watched.clear();
    this.#interests.clear();
    const own = this.all().filter(({ info }) => info.entity.value === entity);
    if (own.length === 0) this.#byEntity.delete(entity);
    else this.#byEntity.set(entity, own);
  }
}
