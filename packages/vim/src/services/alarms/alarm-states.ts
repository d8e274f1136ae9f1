import type { DataTypes } from '../../generated/types.ts';
import { data } from '../../schema/data.ts';
import type { ManagedObjectReference } from '../../schema/values.ts';
import { fromDocument } from '../document.ts';
import type { Persistence } from '../persistence.ts';
import { isTriggered, isWorse, type Status } from './status.ts';
import { WriteBehind } from './write-behind.ts';

type AlarmState = DataTypes['AlarmState'];
export type EntityReference = ManagedObjectReference;

/** An alarm on one entity, where it is not what it is from the start. */
export interface AlarmEntry {
  readonly alarm: ManagedObjectReference<'Alarm'>;
  readonly entity: EntityReference;
  readonly status: Status;
  /** When it became so. */
  readonly time: string;
  readonly acknowledged?: { readonly user: string; readonly time: string } | undefined;
  /** Event that made it so. */
  readonly eventKey?: number | undefined;
  /** Status by slot, as events made it. */
  readonly slots?: ReadonlyMap<number, Status> | undefined;
}

interface EntryDocument extends Omit<AlarmEntry, 'slots'> {
  readonly slots?: readonly (readonly [number, Status])[];
}

const collection = 'alarm-states';

/** Alarms on entities: only those that were triggered, or that events had a part in, take place and are kept. */
export class AlarmStates {
  readonly #writes: WriteBehind;
  /** By entity, then by alarm. */
  readonly #entries = new Map<string, Map<string, AlarmEntry>>();
  /** Triggered alarms by each entity that shows them: where they are, and everything above. */
  readonly #shown = new Map<string, Map<string, AlarmEntry>>();
  /** Where each triggered alarm is shown. */
  readonly #places = new Map<string, readonly string[]>();

  private constructor(writes: WriteBehind) {
    this.#writes = writes;
  }

  static async open(options: {
    readonly persistence: Persistence;
    readonly onDefect: (where: string, error: unknown) => void;
  }): Promise<AlarmStates> {
    const states = new AlarmStates(new WriteBehind({ ...options, collection }));
    for (const { value } of await options.persistence.list(collection)) {
      const { slots, ...rest } = fromDocument<EntryDocument>(value);
      states.#keep(slots === undefined ? rest : { ...rest, slots: new Map(slots) });
    }
    return states;
  }

  get(entity: string, alarm: string): AlarmEntry | undefined {
    return this.#entries.get(entity)?.get(alarm);
  }

  of(entity: string): IterableIterator<AlarmEntry> {
    return (this.#entries.get(entity) ?? new Map<string, AlarmEntry>()).values();
  }

  *all(): IterableIterator<AlarmEntry> {
    for (const entries of this.#entries.values()) yield* entries.values();
  }

  /** Triggered alarms of the entity and of what lies below it. */
  triggeredBy(value: string): AlarmEntry[] {
    return [...(this.#shown.get(value)?.values() ?? [])];
  }

  /** The worst of the entity's own alarms; green when none is triggered. */
  worst(entity: string): Status {
    let worst: Status = 'green';
    for (const { status } of this.of(entity)) if (isWorse(status, worst)) worst = status;
    return worst;
  }

  /** Takes over an entry, shown by `upwards`. Answers the entities whose triggered alarms are others now. */
  set(entry: AlarmEntry, upwards: readonly string[]): readonly string[] {
    const before = this.get(entry.entity.value, entry.alarm.value);
    this.#keep(entry);
    this.#write(entry, before);
    return this.show(entry, upwards);
  }

  /** Forgets an entry. Answers the entities whose triggered alarms are others now. */
  delete(entry: AlarmEntry): readonly string[] {
    const { entity, alarm } = entry;
    const own = this.#entries.get(entity.value);
    if (own?.delete(alarm.value) && own.size === 0) this.#entries.delete(entity.value);
    if (isKept(entry)) this.#writes.set(stateKey(entry), undefined);
    return this.#hide(stateKey(entry));
  }

  /** Shows a triggered entry where it belongs now. Answers the entities that show it anew, otherwise, or no more. */
  show(entry: AlarmEntry, upwards: readonly string[]): readonly string[] {
    const key = stateKey(entry);
    const before = this.#hide(key);
    if (!isTriggered(entry.status)) return before;
    this.#places.set(key, upwards);
    for (const value of upwards) {
      const shown = this.#shown.get(value);
      if (shown === undefined) this.#shown.set(value, new Map([[key, entry]]));
      else shown.set(key, entry);
    }
    return [...new Set([...before, ...upwards])];
  }

  async flush(): Promise<void> {
    await this.#writes.flush();
  }

  #hide(key: string): readonly string[] {
    const places = this.#places.get(key) ?? [];
    this.#places.delete(key);
    for (const value of places) {
      const shown = this.#shown.get(value);
      if (shown?.delete(key) && shown.size === 0) this.#shown.delete(value);
    }
    return places;
  }

  #keep(entry: AlarmEntry): void {
    const own = this.#entries.get(entry.entity.value);
    if (own === undefined) this.#entries.set(entry.entity.value, new Map([[entry.alarm.value, entry]]));
    else own.set(entry.alarm.value, entry);
  }

  #write(entry: AlarmEntry, before: AlarmEntry | undefined): void {
    if (isKept(entry)) {
      const { slots, ...rest } = entry;
      this.#writes.set(stateKey(entry), slots === undefined ? rest : { ...rest, slots: [...slots] });
    } else if (before !== undefined && isKept(before)) this.#writes.set(stateKey(entry), undefined);
  }
}

/** The entry as clients see it on the entity. */
export function alarmState(entry: AlarmEntry, disabled: boolean): AlarmState {
  const { entity, alarm, status, time, acknowledged, eventKey } = entry;
  return data('AlarmState', {
    key: stateKey(entry),
    entity: entity as AlarmState['entity'],
    alarm,
    overallStatus: status,
    time,
    acknowledged: acknowledged !== undefined,
    ...(acknowledged && { acknowledgedByUser: acknowledged.user, acknowledgedTime: acknowledged.time }),
    ...(eventKey !== undefined && { eventKey }),
    disabled,
  });
}

/** Known of an alarm and an entity, such as `alarm-1.host-12`. */
export function stateKey({ alarm, entity }: Pick<AlarmEntry, 'alarm' | 'entity'>): string {
  return `${alarm.value}.${entity.value}`;
}

/** What evaluating anew would not tell. */
function isKept({ status, slots }: AlarmEntry): boolean {
  return isTriggered(status) || slots !== undefined;
}
