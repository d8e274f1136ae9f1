import { setImmediate } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { type Store, StoreConflict, type StoreEntry, type StoreRange, type StoreWrite } from '@hypostyle/contracts';
import { encodeRange, encodeWrite } from '../encoded-write.ts';
import { StoreError } from '../errors.ts';
import type { Reply, Request, WorkerSettings } from './protocol.ts';

interface Waiting {
  readonly resolve: (reply: Reply) => void;
  readonly reject: (error: Error) => void;
}

type WithoutId<T> = T extends unknown ? Omit<T, 'id'> : never;

/** A store whose file is read and written in a thread of its own. */
export class SqliteStore implements Store {
  readonly #path: string;
  readonly #readOnly: boolean;
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  #lastId = 0;
  #ended: StoreError | undefined;
  #closing: Promise<void> | undefined;

  static async open(settings: WorkerSettings): Promise<SqliteStore> {
    const store = new SqliteStore(settings);
    const exited = new Promise<void>((resolve) => store.#worker.once('exit', () => resolve()));
    try {
      await store.#answerTo(0);
      return store;
    } catch (error) {
      await exited;
      throw error;
    }
  }

  private constructor(settings: WorkerSettings) {
    this.#path = settings.path;
    this.#readOnly = settings.readOnly;
    this.#worker = new Worker(new URL('./worker.ts', import.meta.url), {
      name: 'store',
      workerData: settings,
      // node:sqlite warns that it is experimental; the rest of the program keeps its warnings.
      execArgv: ['--disable-warning=ExperimentalWarning'],
    });
    this.#worker.on('message', (reply: Reply) => this.#settle(reply));
    this.#worker.on('error', (error) => this.#end(new StoreError('failed', this.#path, String(error))));
    this.#worker.on('exit', () => this.#end(new StoreError('closed', this.#path)));
  }

  async get<T = unknown>(collection: string, key: string): Promise<T | undefined> {
    const { json } = await this.#ask({ kind: 'get', collection, key });
    return json === undefined ? undefined : (JSON.parse(json) as T);
  }

  async list<T = unknown>(collection: string, range: StoreRange = {}): Promise<StoreEntry<T>[]> {
    const { pages = [] } = await this.#ask({ kind: 'list', collection, range: encodeRange(range, this.#path) });
    const entries: StoreEntry<T>[] = [];
    for (const page of pages) {
      if (entries.length > 0) await setImmediate();
      for (const { key, json } of page) entries.push({ key, value: JSON.parse(json) as T });
    }
    return entries;
  }

  async transact(writes: readonly StoreWrite[]): Promise<void> {
    if (this.#readOnly) throw new StoreError('readOnly', this.#path);
    await this.#ask({ kind: 'transact', writes: writes.map((write) => encodeWrite(write, this.#path)) });
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    if (this.#ended !== undefined) return;
    const exited = new Promise<void>((resolve) => this.#worker.once('exit', () => resolve()));
    const answered = this.#ask({ kind: 'close' });
    this.#ended = new StoreError('closed', this.#path);
    await answered;
    await exited;
  }

  async #ask(request: WithoutId<Request>): Promise<Reply> {
    if (this.#ended !== undefined) throw this.#ended;
    const id = ++this.#lastId;
    const answered = this.#answerTo(id);
    this.#worker.postMessage({ id, ...request });
    return await answered;
  }

  #answerTo(id: number): Promise<Reply> {
    return new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
  }

  #settle(reply: Reply): void {
    const waiting = this.#waiting.get(reply.id);
    this.#waiting.delete(reply.id);
    const { failure } = reply;
    if (failure === undefined) waiting?.resolve(reply);
    else if (failure.kind === 'conflict') waiting?.reject(new StoreConflict(failure.collection, failure.key));
    else waiting?.reject(new StoreError(failure.code, this.#path, failure.detail));
  }

  #end(error: StoreError): void {
    this.#ended ??= error;
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}
