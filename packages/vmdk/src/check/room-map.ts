import { setImmediate as turn } from 'node:timers/promises';

const pageBytes = 65536;
const unitsAPage = pageBytes * 8;

/** Which units of a file something has taken. Pages come into being when something in them is taken. */
export class RoomMap {
  readonly #pages = new Map<number, Uint8Array>();

  /** Takes units; false when one of them was taken already. */
  take(start: number, count: number): boolean {
    let free = true;
    for (let unit = start, end = start + count; unit < end; ) {
      const page = this.#page(Math.floor(unit / unitsAPage));
      const within = unit % unitsAPage;
      if (within % 8 === 0 && end - unit >= 8) {
        const bytes = Math.min(Math.floor((end - unit) / 8), pageBytes - within / 8);
        const piece = page.subarray(within / 8, within / 8 + bytes);
        free &&= piece.every((byte) => byte === 0);
        piece.fill(0xff);
        unit += bytes * 8;
      } else {
        const mask = 1 << (within & 7);
        const byte = page[within >> 3] as number;
        free &&= (byte & mask) === 0;
        page[within >> 3] = byte | mask;
        unit += 1;
      }
    }
    return free;
  }

  /** Whether nothing has taken any of these units. */
  isFree(start: number, count: number): boolean {
    for (let unit = start; unit < start + count; unit += 1) {
      const page = this.#pages.get(Math.floor(unit / unitsAPage));
      const within = unit % unitsAPage;
      if (page && ((page[within >> 3] as number) & (1 << (within & 7))) !== 0) return false;
    }
    return true;
  }

  /** Stretches from `start` to `end` that nothing took, in order. */
  async *free(start: number, end: number): AsyncGenerator<{ start: number; end: number }, void, undefined> {
    let first = -1;
    for (let unit = start; unit < end; ) {
      const number = Math.floor(unit / unitsAPage);
      const page = this.#pages.get(number);
      const stop = Math.min(end, (number + 1) * unitsAPage);
      if (!page) {
        if (first < 0) first = unit;
        unit = stop;
        continue;
      }
      await turn();
      while (unit < stop) {
        const byte = page[(unit % unitsAPage) >> 3] as number;
        if (unit % 8 === 0 && unit + 8 <= stop && (byte === 0 || byte === 0xff)) {
          if (byte === 0 && first < 0) first = unit;
          if (byte !== 0 && first >= 0) {
            yield { start: first, end: unit };
            first = -1;
          }
          unit += 8;
          continue;
        }
        const taken = (byte & (1 << (unit & 7))) !== 0;
        if (!taken && first < 0) first = unit;
        if (taken && first >= 0) {
          yield { start: first, end: unit };
          first = -1;
        }
        unit += 1;
      }
    }
    if (first >= 0) yield { start: first, end };
  }

  #page(number: number): Uint8Array {
    const page = this.#pages.get(number) ?? new Uint8Array(pageBytes);
    this.#pages.set(number, page);
    return page;
  }
}
