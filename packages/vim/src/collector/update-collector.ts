import type { UpdateSet } from '../generated/types.ts';
import type { ManagedObjectReference } from '../schema/values.ts';
import type { ChangeFeed } from './change-feed.ts';
import { invalidCollectorVersion, requestCanceled } from './errors.ts';
import type { PropertyFilter } from './property-filter.ts';
import { UpdateLine } from './update-line.ts';

/** Lines kept for clients that share a collector: the one longest unused is let go of. */
const mostLines = 4;
/** Longest delay that a timer takes, in milliseconds. */
const longestTimer = 2 ** 31 - 1;

interface Waiter {
  readonly line: UpdateLine;
  readonly wake: () => void;
  readonly cancel: () => void;
}

export interface WaitRequest {
  readonly version: string;
  /** 0 answers at once, Infinity waits as long as it takes. */
  readonly maxWaitMilliseconds: number;
  readonly maxObjectUpdates: number;
  /** Fires when the client went away. */
  readonly signal: AbortSignal;
}

/** What one PropertyCollector does for one session: filters, and lines of updates over them. */
export class UpdateCollector {
  readonly #feed: ChangeFeed;
  readonly #filters = new Map<PropertyFilter, ManagedObjectReference<'PropertyFilter'>>();
  /** The line used last comes last. */
  readonly #lines = new Map<string, UpdateLine>();
  readonly #waiters = new Set<Waiter>();
  /** Lines that got something to tell since the last waking. */
  readonly #ready = new Set<UpdateLine>();
  #closed = false;
  #lineCount = 0;
  #cancelSettled: (() => void) | undefined;

  constructor(feed: ChangeFeed) {
    this.#feed = feed;
  }

  get filters(): readonly ManagedObjectReference<'PropertyFilter'>[] {
    return [...this.#filters.values()];
  }

  add(filter: PropertyFilter, ref: ManagedObjectReference<'PropertyFilter'>): void {
    this.#filters.set(filter, ref);
    for (const line of this.#lines.values()) line.add(filter, ref);
    this.#wake();
  }

  remove(filter: PropertyFilter): void {
    this.#filters.delete(filter);
    for (const line of this.#lines.values()) line.remove(filter);
    filter.close();
  }

  /** Shows what the session may see now: its rights changed. */
  lookAgain(): void {
    this.#followFeed();
    for (const filter of this.#filters.keys()) filter.lookAgain();
  }

  /** Ends all waits with RequestCanceled. */
  cancelWaits(): void {
    for (const waiter of [...this.#waiters]) waiter.cancel();
  }

  close(): void {
    this.#closed = true;
    this.cancelWaits();
    for (const line of this.#lines.values()) line.close();
    this.#lines.clear();
    for (const filter of this.#filters.keys()) filter.close();
    this.#filters.clear();
    this.#cancelSettled?.();
  }

  /**
   * What changed since `version`; undefined when nothing did within the time.
   *
   * Throws InvalidCollectorVersion for a version that is not the last or the one before, RequestCanceled when the wait
   * or the session ended.
   */
  async wait({ version, maxWaitMilliseconds, maxObjectUpdates, signal }: WaitRequest): Promise<UpdateSet | undefined> {
    if (this.#closed) throw requestCanceled();
    const end = performance.now() + maxWaitMilliseconds;
    await this.#feed.settle();
    const line = this.#lineOf(version);
    const from = version === '' ? line.version : version;
    for (;;) {
      if (this.#closed || signal.aborted) throw requestCanceled();
      if (!line.knows(from)) throw invalidCollectorVersion();
      const set = await line.take(from, maxObjectUpdates);
      if (set !== undefined) return set;
      if (!line.hasMarks && !(await this.#marked(line, { end, signal }))) return undefined;
    }
  }

  #lineOf(version: string): UpdateLine {
    const id = version.slice(0, version.indexOf('.'));
    let line = version === '' ? undefined : this.#lines.get(id);
    if (version !== '' && !line?.knows(version)) throw invalidCollectorVersion();
    if (line === undefined) {
      this.#lineCount += 1;
      const created = new UpdateLine(String(this.#lineCount), () => this.#ready.add(created));
      for (const [filter, ref] of this.#filters) created.add(filter, ref);
      line = created;
      this.#followFeed();
    }
    this.#lines.delete(line.id);
    this.#lines.set(line.id, line);
    this.#dropUnused();
    return line;
  }

  #dropUnused(): void {
    for (const line of this.#lines.values()) {
      if (this.#lines.size <= mostLines) return;
      if ([...this.#waiters].some((waiter) => waiter.line === line)) continue;
      this.#lines.delete(line.id);
      this.#ready.delete(line);
      line.close();
    }
  }

  /** Resolves to true when the line got something to tell, to false when the time is over. */
  #marked(line: UpdateLine, { end, signal }: { readonly end: number; readonly signal: AbortSignal }): Promise<boolean> {
    const left = end - performance.now();
    if (left <= 0) return Promise.resolve(false);
    // Whoever left while the line was looked through is told of by no event any more.
    if (this.#closed || signal.aborted) return Promise.reject(requestCanceled());
    return new Promise((resolve, reject) => {
      const finish = (settle: () => void) => {
        this.#waiters.delete(waiter);
        clearTimeout(timer);
        signal.removeEventListener('abort', waiter.cancel);
        settle();
      };
      const waiter: Waiter = {
        line,
        wake: () => finish(() => resolve(true)),
        cancel: () => finish(() => reject(requestCanceled())),
      };
      const timer =
        left === Number.POSITIVE_INFINITY
          ? undefined
          : setTimeout(() => finish(() => resolve(false)), Math.min(left, longestTimer));
      signal.addEventListener('abort', waiter.cancel);
      this.#waiters.add(waiter);
    });
  }

  #followFeed(): void {
    this.#cancelSettled ??= this.#feed.onSettled(() => this.#wake());
  }

  #wake(): void {
    if (this.#ready.size === 0) return;
    for (const waiter of [...this.#waiters]) if (this.#ready.has(waiter.line)) waiter.wake();
    this.#ready.clear();
  }
}
