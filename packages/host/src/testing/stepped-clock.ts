import type { Clock } from '@hypostyle/vim';

/** Timers from here on are never due, in milliseconds: what is done once an hour is not what a test steps through. */
const longest = 3_600_000;

/** A clock that goes on when a test says so. It begins with an hour, some time after the engines of the test start. */
export class SteppedClock implements Clock {
  #now = Math.ceil(Date.now() / 3_600_000) * 3_600_000;
  #timers: { readonly at: number; readonly run: () => void }[] = [];

  now(): number {
    return this.#now;
  }

  after(milliseconds: number, run: () => void): () => void {
    if (milliseconds >= longest) return () => {};
    const timer = { at: this.#now + milliseconds, run };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  /** To the next timer; what it runs has set the one after it when this resolves. */
  async step(): Promise<void> {
    while (this.#timers.length === 0) await new Promise(setImmediate);
    const [next] = this.#timers.sort((a, b) => a.at - b.at).splice(0, 1);
    this.#now = next?.at ?? this.#now;
    next?.run();
    while (this.#timers.length === 0) await new Promise(setImmediate);
  }
}
