import type { Clock } from '@hypostyle/vim';

/** A clock that stands still until it is told. */
export class FakeClock implements Clock {
  #now = 0;
  readonly #timers = new Map<object, { at: number; action: () => void }>();

  now(): number {
    return this.#now;
  }

  after(milliseconds: number, action: () => void): () => void {
    const key = {};
    this.#timers.set(key, { at: this.#now + milliseconds, action });
    return () => this.#timers.delete(key);
  }

  get timers(): number {
    return this.#timers.size;
  }

  /** Passes time, running what falls due in its order. */
  advance(milliseconds: number): void {
    const end = this.#now + milliseconds;
    for (;;) {
      const due = [...this.#timers].filter(([, timer]) => timer.at <= end).sort(([, a], [, b]) => a.at - b.at)[0];
      if (due === undefined) break;
      const [key, { at, action }] = due;
      this.#timers.delete(key);
      this.#now = Math.max(this.#now, at);
      action();
    }
    this.#now = end;
  }
}
