import { fromDocument, toDocument } from '../document.ts';
import { numberKey, type Persistence } from '../persistence.ts';
import type { AlarmDefinition, AlarmInfo } from './alarm-definition.ts';
import { stateKey } from './alarm-states.ts';

export type StoredAlarm = Pick<AlarmDefinition, 'info' | 'customValues'>;

const alarmCollection = 'alarms';
const switchCollection = 'alarm-switches';
const counterCollection = 'alarm-counter';
const actionsOff = 'actions';
const alarmOff = 'alarm';

/** Definitions of alarms, and what is switched off for single entities: durable when a method's promise resolves. */
export class AlarmStore {
  readonly #persistence: Persistence;
  #last: number;
  readonly #off: Set<string>;

  private constructor(persistence: Persistence, last: number, off: Set<string>) {
    this.#persistence = persistence;
    this.#last = last;
    this.#off = off;
  }

  static async open(persistence: Persistence): Promise<AlarmStore> {
    const last = (await persistence.get<number>(counterCollection, 'last')) ?? 0;
    const off = await persistence.list(switchCollection);
    return new AlarmStore(persistence, last, new Set(off.map(({ key }) => key)));
  }

  async load(): Promise<StoredAlarm[]> {
    const entries = await this.#persistence.list(alarmCollection);
    return entries.map(({ value }) => fromDocument<StoredAlarm>(value));
  }

  /** A reference that no alarm ever had. */
  nextReference(): string {
    this.#last += 1;
    return `alarm-${this.#last}`;
  }

  async put({ info, customValues }: StoredAlarm): Promise<void> {
    await this.#persistence.transact([
      { put: { collection: counterCollection, key: 'last', value: this.#last } },
      { put: { collection: alarmCollection, key: keyOf(info), value: toDocument({ info, customValues }) } },
    ]);
  }

  async delete(info: AlarmInfo): Promise<void> {
    await this.#persistence.transact([{ delete: { collection: alarmCollection, key: keyOf(info) } }]);
  }

  async hasDefaults(): Promise<boolean> {
    return (await this.#persistence.get(counterCollection, 'defaults')) !== undefined;
  }

  async rememberDefaults(): Promise<void> {
    await this.#persistence.transact([{ put: { collection: counterCollection, key: 'defaults', value: true } }]);
  }

  actionsEnabled(entity: string): boolean {
    return !this.#off.has(`${actionsOff} ${entity}`);
  }

  isDisabled(alarm: string, entity: string): boolean {
    return this.#off.size > 0 && this.#off.has(`${alarmOff} ${alarm}.${entity}`);
  }

  async enableActions(entity: string, enabled: boolean): Promise<void> {
    await this.#switch(`${actionsOff} ${entity}`, enabled);
  }

  async enable(state: Parameters<typeof stateKey>[0], enabled: boolean): Promise<void> {
    await this.#switch(`${alarmOff} ${stateKey(state)}`, enabled);
  }

  async #switch(key: string, enabled: boolean): Promise<void> {
    const collection = switchCollection;
    await this.#persistence.transact([
      enabled ? { delete: { collection, key } } : { put: { collection, key, value: true } },
    ]);
    if (enabled) this.#off.delete(key);
    else this.#off.add(key);
  }
}

function keyOf({ alarm }: AlarmInfo): string {
  return numberKey(Number(alarm.value.slice('alarm-'.length)));
}
