import type { Clock } from '../clock.ts';
import type { HistoryRange, HistorySource } from './history-cursor.ts';

/** Items that are looked at together. */
const chunk = 256;
const hour = 3_600_000;
const day = 24 * hour;

/** Number of the oldest item that is to be kept; one after the last where none is. Stops at the first that is. */
export async function firstKept<R>(source: HistorySource<R>, isOld: (record: R) => boolean): Promise<number> {
  for (let from = 0; ; ) {
    const range: HistoryRange = { from, reverse: false, limit: chunk };
    const items = await source.read(range);
    for (const { number, record } of items) if (!isOld(record)) return number;
    const last = items.at(-1);
    if (last === undefined) return from;
    from = last.number + 1;
  }
}

/** Something that forgets what was before a time, in milliseconds since 1970. */
export interface AgingHistory {
  expire(before: number): Promise<void>;
}

export interface HistoryAgesOptions {
  readonly clock: Clock;
  /** Each history with the days that it is kept now; undefined is for ever. */
  readonly histories: readonly { readonly history: AgingHistory; readonly days: () => number | undefined }[];
  readonly onDefect: (where: string, error: unknown) => void;
}

/** Lets go of what is older than its history goes back: once an hour, and when it is asked to. */
export class HistoryAges {
  readonly #options: HistoryAgesOptions;
  #turn: Promise<void> = Promise.resolve();
  #stop: () => void = () => {};
  #closed = false;

  constructor(options: HistoryAgesOptions) {
    this.#options = options;
    this.#wait();
  }

  /** Resolves when what is too old now is gone. */
  apply(): Promise<void> {
    this.#turn = this.#turn.then(() => this.#expire());
    return this.#turn;
  }

  /** Resolves when nothing of it is under way any more. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#stop();
    await this.#turn;
  }

  #wait(): void {
    this.#stop = this.#options.clock.after(hour, () => {
      void this.apply();
      this.#wait();
    });
  }

  async #expire(): Promise<void> {
    for (const { history, days } of this.#options.histories) {
      const kept = days();
      if (kept === undefined || this.#closed) continue;
      try {
        await history.expire(this.#options.clock.now() - kept * day);
      } catch (error) {
        this.#options.onDefect('the age of a history', error);
      }
    }
  }
}
