import { fromDocument, toDocument } from '../document.ts';
import { firstKept } from '../history/history-age.ts';
import type { HistoryItem, HistoryRange, HistorySource } from '../history/history-cursor.ts';
import { numberKey, type Persistence, type PersistenceWrite } from '../persistence.ts';
import type { EventRecord } from './event-record.ts';

const collection = 'events';
const counterCollection = 'event-counter';
/** Keys are reserved in blocks, so that none is given twice however the process ends. */
const keyBlock = 2_000;
const trimInterval = 1_024;
/** Most events that wait for a store that does not take them; the oldest are lost, but for those with writes alongside. */
const waitingLimit = 10_000;

interface EventLogOptions {
  readonly persistence: Persistence;
  /** Most events that are kept. */
  readonly limit: number;
  readonly onDefect: (where: string, error: unknown) => void;
}

/** Writes that go together, or not at all. */
interface WriteGroup {
  readonly writes: readonly PersistenceWrite[];
  /** Given up when too much waits. */
  readonly dispensable: boolean;
}

/** Events on disk: written in batches, in order. */
export class EventLog implements HistorySource<EventRecord> {
  readonly #persistence: Persistence;
  readonly #limit: number;
  readonly #onDefect: (where: string, error: unknown) => void;
  #lastKey = 0;
  #reservedTo = 0;
  #waiting: WriteGroup[] = [];
  #writing: Promise<void> | undefined;
  #sinceTrim = 0;
  #isAwake = false;

  private constructor({ persistence, limit, onDefect }: EventLogOptions) {
    this.#persistence = persistence;
    this.#limit = limit;
    this.#onDefect = onDefect;
  }

  static async open(options: EventLogOptions): Promise<EventLog> {
    const log = new EventLog(options);
    log.#lastKey = (await options.persistence.get<number>(counterCollection, 'reserved')) ?? 0;
    log.#reserve();
    await log.flush();
    return log;
  }

  nextKey(): number {
    this.#lastKey += 1;
    if (this.#lastKey > this.#reservedTo - keyBlock / 2) this.#reserve();
    return this.#lastKey;
  }

  append(record: EventRecord, alongside: readonly PersistenceWrite[] = []): void {
    const { key } = record.event;
    const put = { put: { collection, key: numberKey(key), value: toDocument(record) } };
    this.#waiting.push({ writes: [put, ...alongside], dispensable: alongside.length === 0 });
    this.#sinceTrim += 1;
    if (this.#sinceTrim >= trimInterval && key > this.#limit) {
      this.#sinceTrim = 0;
      const trim = { deleteRange: { collection, from: numberKey(0), to: numberKey(key - this.#limit) } };
      this.#waiting.push({ writes: [trim], dispensable: true });
    }
    this.#shed();
    if (this.#isAwake) return;
    this.#isAwake = true;
    // The events of one commit go in one batch.
    queueMicrotask(() => {
      this.#isAwake = false;
      if (this.#writing === undefined) this.#drain().catch((error: unknown) => this.#onDefect('event log', error));
    });
  }

  /** Resolves when everything appended so far is durable, and `alongside` with it. */
  async flush(alongside: readonly PersistenceWrite[] = []): Promise<void> {
    if (alongside.length > 0) this.#waiting.push({ writes: alongside, dispensable: false });
    // The batch under way may not have what was appended since; the one after it has, whoever began it.
    if (this.#writing !== undefined) await this.#writing.catch(() => {});
    if (this.#waiting.length > 0) this.#writing ??= this.#write();
    await this.#writing;
  }

  async #drain(): Promise<void> {
    while (this.#waiting.length > 0) await this.flush();
  }

  async read({ from, to, reverse, limit }: HistoryRange): Promise<HistoryItem<EventRecord>[]> {
    await this.flush();
    const entries = await this.#persistence.list(collection, {
      ...(from === undefined ? {} : { from: numberKey(from) }),
      ...(to === undefined ? {} : { to: numberKey(to) }),
      reverse,
      limit,
    });
    return entries.map(({ key, value }) => ({ number: Number(key), record: fromDocument<EventRecord>(value) }));
  }

  /** Forgets events of before a time, in milliseconds since 1970, up to the first that is younger. */
  async expire(before: number): Promise<void> {
    const to = await firstKept(this, ({ event }) => Date.parse(event.createdTime) < before);
    if (to > 0)
      await this.#persistence.transact([{ deleteRange: { collection, from: numberKey(0), to: numberKey(to) } }]);
  }

  async #write(): Promise<void> {
    const batch = this.#waiting;
    this.#waiting = [];
    try {
      await this.#persistence.transact(batch.flatMap(({ writes }) => writes));
    } catch (error) {
      this.#waiting = [...batch, ...this.#waiting];
      this.#shed();
      throw error;
    } finally {
      this.#writing = undefined;
    }
  }

  #reserve(): void {
    this.#reservedTo = this.#lastKey + keyBlock;
    const put = { put: { collection: counterCollection, key: 'reserved', value: this.#reservedTo } };
    this.#waiting.push({ writes: [put], dispensable: false });
  }

  #shed(): void {
    let surplus = this.#waiting.length - waitingLimit;
    if (surplus <= 0) return;
    this.#waiting = this.#waiting.filter(({ dispensable }) => {
      if (!dispensable || surplus <= 0) return true;
      surplus -= 1;
      return false;
    });
  }
}
