import { missing } from './samples.ts';

/** Samples of one series: the last hour. */
export const ringLength = 180;
const empty = 0xffff_ffff;

/** The last hour of one series, 4 bytes a sample; 8 where values go beyond 32 bits. */
export class SampleRing {
  readonly #values: Uint32Array | Float64Array;
  readonly #empty: number;
  readonly #most: number;
  /** Tick of the last sample; -1 before the first. */
  newest = -1;

  constructor(wide: boolean) {
    this.#values = wide ? new Float64Array(ringLength) : new Uint32Array(ringLength);
    this.#empty = wide ? missing : empty;
    this.#most = wide ? Number.MAX_SAFE_INTEGER : empty - 1;
    this.#values.fill(this.#empty);
  }

  /** Ticks rise. What is between the last sample and this one is missing. */
  set(tick: number, value: number): void {
    const from = Math.max(this.newest + 1, tick - ringLength + 1);
    for (let gap = from; gap < tick; gap += 1) this.#values[gap % ringLength] = this.#empty;
    this.#values[tick % ringLength] = Math.min(Math.max(0, Math.round(value)), this.#most);
    this.newest = tick;
  }

  get(tick: number): number {
    if (tick > this.newest || tick <= this.newest - ringLength) return missing;
    const value = this.#values[tick % ringLength] ?? this.#empty;
    return value === this.#empty ? missing : value;
  }
}
