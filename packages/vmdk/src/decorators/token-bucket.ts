/** How fast something may go. */
export interface Rate {
  /** More than 0; `Infinity` for no limit. */
  readonly bytesPerSecond: number;
  /** Bytes that may pass at once after a rest. Default: those of a tenth of a second. */
  readonly burstBytes?: number;
}

/** Time, replaceable in tests. */
export interface Clock {
  /** Milliseconds from some moment on, never backwards. */
  now(): number;
  /** Resolves after some milliseconds, or when the signal aborts. */
  delay(milliseconds: number, signal: AbortSignal): Promise<void>;
}

/** A token bucket. What passes may overdraw it, and whoever comes next waits until the debt is paid. */
export class TokenBucket {
  readonly #clock: Clock;
  #rate: { readonly bytesPerSecond: number; readonly burstBytes: number };
  #tokens: number;
  #at: number;
  #changed = new AbortController();
  #queue: Promise<void> = Promise.resolve();

  constructor(rate: Rate, clock: Clock) {
    this.#clock = clock;
    this.#rate = completed(rate);
    this.#tokens = this.#rate.burstBytes;
    this.#at = clock.now();
  }

  /** Changes the rate; whoever waits, waits by the new one from now on. */
  setRate(rate: Rate): void {
    this.#refill();
    this.#rate = completed(rate);
    this.#tokens = Math.min(this.#tokens, this.#rate.burstBytes);
    const changed = this.#changed;
    this.#changed = new AbortController();
    changed.abort();
  }

  /** Resolves when `bytes` may pass, in the order of the calls. */
  take(bytes: number): Promise<void> {
    const turn = this.#queue.then(async () => {
      for (;;) {
        this.#refill();
        if (this.#tokens > 0 || this.#rate.bytesPerSecond === Number.POSITIVE_INFINITY) break;
        const milliseconds = Math.max(1, (-this.#tokens / this.#rate.bytesPerSecond) * 1000);
        await this.#clock.delay(milliseconds, this.#changed.signal);
      }
      this.#tokens -= bytes;
    });
    this.#queue = turn;
    return turn;
  }

  #refill(): void {
    const now = this.#clock.now();
    const earned = ((now - this.#at) / 1000) * this.#rate.bytesPerSecond;
    this.#at = now;
    this.#tokens = earned === Number.POSITIVE_INFINITY ? this.#rate.burstBytes : this.#tokens + (earned || 0);
    this.#tokens = Math.min(this.#rate.burstBytes, this.#tokens);
  }
}

function completed(rate: Rate): { readonly bytesPerSecond: number; readonly burstBytes: number } {
  const { bytesPerSecond, burstBytes = Math.max(1, bytesPerSecond / 10) } = rate;
  if (!(bytesPerSecond > 0) || !(burstBytes > 0)) {
    throw new RangeError(`a rate of ${bytesPerSecond} bytes/s and a burst of ${burstBytes} bytes are not both above 0`);
  }
  return { bytesPerSecond, burstBytes };
}
