import { setTimeout as sleep } from 'node:timers/promises';
import type { StoreEntry } from '@hypostyle/contracts';
import type { ListRange } from '../encoded-write.ts';
import { afterLastKey, encodeCollection, firstKey, joinKey, splitKey } from './document-key.ts';
import { asStoreError } from './postgres-error.ts';
import type { Tables } from './schema.ts';
import type { Session } from './session.ts';

export interface DocumentReaderSettings {
  readonly path: string;
  readonly tables: Tables;
  readonly open: () => Promise<Session>;
  /** Milliseconds that a read waits for a server that is away. */
  readonly patience: number;
  /** Ends the waiting. */
  readonly signal: AbortSignal;
}

/** Reads documents in sessions of its own, which are opened when they are needed and again when they are lost. */
export class DocumentReader {
  readonly #settings: DocumentReaderSettings;
  readonly #get: string;
  readonly #list: Record<'ASC' | 'DESC', string>;
  // A long list holds nobody up who wants one document.
  readonly #gets: Lane;
  readonly #lists: Lane;

  constructor(settings: DocumentReaderSettings) {
    this.#settings = settings;
    const { document } = settings.tables;
    this.#get = `SELECT json FROM ${document} WHERE collection = $1 AND head = $2 AND tail = $3`;
    const list = (direction: 'ASC' | 'DESC') => `
      SELECT head, tail, json FROM ${document}
      WHERE collection = $1 AND head >= $2 AND head <= $4 AND (head, tail) >= ($2, $3) AND (head, tail) < ($4, $5)
      ORDER BY head ${direction}, tail ${direction} LIMIT $6`;
    this.#list = { ASC: list('ASC'), DESC: list('DESC') };
    this.#gets = new Lane(settings.open);
    this.#lists = new Lane(settings.open);
  }

  async get<T>(collection: string, key: string): Promise<T | undefined> {
    const { head, tail } = splitKey(key);
    const rows = await this.#retried(this.#gets, (session) =>
      session.query(this.#get, [encodeCollection(collection), head, tail], 'get'),
    );
    const json = rows[0]?.[0];
    return json === undefined ? undefined : (JSON.parse(json) as T);
  }

  /** One statement, and so one state of the documents; each is parsed as it comes from the network. */
  async list<T>(collection: string, { from, to, reverse, limit }: ListRange): Promise<StoreEntry<T>[]> {
    const first = from === undefined ? firstKey : splitKey(from);
    const last = to === undefined ? afterLastKey : splitKey(to);
    const bounds = [first.head, first.tail, last.head, last.tail];
    const values = [encodeCollection(collection), ...bounds, limit ?? null];
    const direction = reverse ? 'DESC' : 'ASC';
    return await this.#retried(this.#lists, async (session) => {
      const entries: StoreEntry<T>[] = [];
      const use = ([head = '', tail = '', json = '']: readonly string[]): void => {
        entries.push({ key: joinKey({ head: bytesOf(head), tail: bytesOf(tail) }), value: JSON.parse(json) as T });
      };
      await session.read(this.#list[direction], values, use, `list-${direction}`);
      return entries;
    });
  }

  async close(): Promise<void> {
    await Promise.all([this.#gets.close(), this.#lists.close()]);
  }

  async #retried<T>(lane: Lane, ask: (session: Session) => Promise<T>): Promise<T> {
    const { path, patience, signal } = this.#settings;
    const deadline = performance.now() + patience;
    for (let pause = 50; ; pause = Math.min(pause * 2, 1000)) {
      try {
        return await ask(await lane.session());
      } catch (error) {
        const failure = asStoreError(error, path);
        const left = deadline - performance.now();
        if (failure.code !== 'unreachable' || left <= 0 || signal.aborted) throw failure;
        await sleep(Math.min(pause, left), undefined, { signal }).catch(() => {});
      }
    }
  }
}

/** One session, opened when it is asked for and not there. */
class Lane {
  readonly #open: () => Promise<Session>;
  #session: Promise<Session> | undefined;

  constructor(open: () => Promise<Session>) {
    this.#open = open;
  }

  session(): Promise<Session> {
    if (this.#session === undefined) {
      const forget = (): void => {
        this.#session = undefined;
      };
      this.#session = this.#open();
      this.#session.then((session) => session.gone.then(forget), forget);
    }
    return this.#session;
  }

  async close(): Promise<void> {
    const session = await this.#session?.catch(() => undefined);
    await session?.end();
  }
}

/** PostgreSQL writes bytes as `\x` and two digits each. */
const bytesOf = (text: string): Buffer => Buffer.from(text.slice(2), 'hex');
