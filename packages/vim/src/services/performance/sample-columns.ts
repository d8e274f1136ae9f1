import { missing } from './samples.ts';

/** Samples of an hour. */
export const hour = 180;
const empty = 0xffff_ffff;
/** Columns of a pool, of a machine with one of each device, and of what is wide. */
const capacities = [16, 72];
const wideCapacity = 4;

/**
 * The last hour of some series that are sampled together: what is sampled at one tick lies side by side in memory. 4
 * bytes a sample, or 8 where values go beyond 32 bits.
 */
export class SampleColumns {
  readonly #wide: boolean;
  readonly #empty: number;
  readonly #most: number;
  #capacity = 0;
  #values: Uint32Array | Float64Array = new Uint32Array(0);
  /** Tick of the last sample of each column. */
  readonly #newest: number[] = [];
  #first = -1;
  #tick = -1;

  constructor(wide: boolean) {
    this.#wide = wide;
    this.#empty = wide ? missing : empty;
    this.#most = wide ? Number.MAX_SAFE_INTEGER : empty - 1;
  }

  get size(): number {
    return this.#newest.length;
  }

  /** Adds a column without samples, and answers its number. */
  add(): number {
    const column = this.#newest.push(-1) - 1;
    if (column >= this.#capacity) this.#grow(this.#nextCapacity(column));
    return column;
  }

  /** Ticks rise. What is between two samples is missing. */
  set(column: number, tick: number, value: number): void {
    if (tick !== this.#tick) this.#begin(tick);
    this.#values[(tick % hour) * this.#capacity + column] = Math.min(Math.max(0, Math.round(value)), this.#most);
    this.#newest[column] = tick;
  }

  get(column: number, tick: number): number {
    if (tick > this.#tick || tick < this.#first || tick <= this.#tick - hour) return missing;
    const value = this.#values[(tick % hour) * this.#capacity + column] ?? this.#empty;
    return value === this.#empty ? missing : value;
  }

  /** Tick of the last sample; -1 before the first. */
  newest(column: number): number {
    return this.#newest[column] ?? -1;
  }

  #nextCapacity(column: number): number {
    if (this.#wide && column === 0) return wideCapacity;
    return capacities.find((capacity) => capacity > column) ?? Math.ceil(column * 1.5);
  }

  #begin(tick: number): void {
    if (this.#first === -1) this.#first = tick;
    else for (let gap = Math.max(this.#tick + 1, tick - hour + 1); gap <= tick; gap += 1) this.#clear(gap);
    this.#tick = tick;
  }

  #clear(tick: number): void {
    const at = (tick % hour) * this.#capacity;
    this.#values.fill(this.#empty, at, at + this.#capacity);
  }

  #grow(capacity: number): void {
    const [before, stride] = [this.#values, this.#capacity];
    this.#values = this.#wide ? new Float64Array(hour * capacity) : new Uint32Array(hour * capacity);
    this.#values.fill(this.#empty);
    this.#capacity = capacity;
    for (let tick = Math.max(this.#first, this.#tick - hour + 1); tick >= 0 && tick <= this.#tick; tick += 1) {
      const row = before.subarray((tick % hour) * stride, ((tick % hour) + 1) * stride);
      this.#values.set(row, (tick % hour) * capacity);
    }
  }
}
