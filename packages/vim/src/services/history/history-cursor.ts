import { Turns } from '../../runtime/turns.ts';

/** Something that happened, by its number: greater is younger. */
export interface HistoryItem<R> {
  readonly number: number;
  readonly record: R;
}

/** Items of `from` (included) to `to` (excluded), oldest first or youngest first, at most `limit`. */
export interface HistorySource<R> {
  read(range: HistoryRange): Promise<HistoryItem<R>[]>;
}

export interface HistoryRange {
  readonly from?: number;
  readonly to?: number;
  readonly reverse: boolean;
  readonly limit: number;
}

/** Items read at a time: few enough to filter without holding up others. */
const chunk = 256;

/**
 * A place in a filtered history, between two items. At first it is before the oldest for reading on, and after the
 * youngest for reading back.
 */
export class HistoryCursor<R> {
  readonly #source: HistorySource<R>;
  readonly #matches: (record: R) => boolean;
  /** The place is before the item of this number. */
  #before: number | undefined;
  /** Two reads at once would answer the same items. */
  readonly #turns = new Turns();

  constructor(source: HistorySource<R>, matches: (record: R) => boolean) {
    this.#source = source;
    this.#matches = matches;
  }

  /** To the oldest item. */
  rewind(): void {
    this.#before = 0;
  }

  /** After the youngest item. */
  reset(): void {
    this.#before = undefined;
  }

  /** The next items, oldest first; empty at the end. */
  async next(count: number): Promise<R[]> {
    return await this.#turns.take(async () => {
      const found: R[] = [];
      let from = this.#before ?? 0;
      for (;;) {
        const items = await this.#source.read({ from, reverse: false, limit: chunk });
        for (const { number, record } of items) {
          if (found.length === count) break;
          from = number + 1;
          if (this.#matches(record)) found.push(record);
        }
        if (found.length === count || items.length < chunk) break;
      }
      this.#before = from;
      return found;
    });
  }

  /** The items before, youngest first; empty at the head. */
  async previous(count: number): Promise<R[]> {
    return await this.#turns.take(async () => {
      const { found, to } = await this.#back(count, this.#before);
      this.#before = to ?? 0;
      return found.map((item) => item.record);
    });
  }

  /** The youngest items, youngest first; the place stays. */
  async latest(count: number): Promise<HistoryItem<R>[]> {
    return (await this.#back(count, undefined)).found;
  }

  async #back(count: number, before: number | undefined): Promise<{ found: HistoryItem<R>[]; to: number | undefined }> {
    const found: HistoryItem<R>[] = [];
    let to = before;
    for (;;) {
      const items = await this.#source.read({ ...(to === undefined ? {} : { to }), reverse: true, limit: chunk });
      for (const item of items) {
        if (found.length === count) break;
        to = item.number;
        if (this.#matches(item.record)) found.push(item);
      }
      if (found.length === count || items.length < chunk) return { found, to };
    }
  }
}
