/** Times of one kind of call, kept as counts by hundredths of their logarithm: constant memory, 1 % exact. */
export class Latencies {
  readonly #counts = new Map<number, number>();
  #total = 0;

  add(milliseconds: number): void {
    const bucket = Math.ceil(Math.log(Math.max(milliseconds, 0.01)) * 100);
    this.#counts.set(bucket, (this.#counts.get(bucket) ?? 0) + 1);
    this.#total += 1;
  }

  get count(): number {
    return this.#total;
  }

  /** Milliseconds within which that share of the calls was answered, 0 to 1. */
  quantile(share: number): number {
    let left = share * this.#total;
    for (const [bucket, count] of [...this.#counts].sort(([a], [b]) => a - b)) {
      left -= count;
      if (left <= 0) return Math.exp(bucket / 100);
    }
    return 0;
  }
}
