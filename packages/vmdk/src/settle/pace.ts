/** Fields of the memory that owner and threads share. */
const field = { stop: 0, kibibytes: 1, threads: 2 } as const;
/** Longest wait before the rate is looked at again, milliseconds. */
const longestWait = 200;

/** How fast settling may go, changed at any time; shared by the threads that it holds back. */
export class SettlePace {
  readonly shared: SharedArrayBuffer;
  readonly #fields: Int32Array;

  /** `bytesPerSecond`: of the disk; 0, the default, does not hold back. */
  constructor(bytesPerSecond = 0) {
    this.shared = new SharedArrayBuffer(4 * Object.keys(field).length);
    this.#fields = new Int32Array(this.shared);
    this.set(bytesPerSecond);
  }

  set(bytesPerSecond: number): void {
    const kibibytes = bytesPerSecond === 0 ? 0 : Math.max(1, Math.min(Math.floor(bytesPerSecond / 1024), 2 ** 31 - 1));
    Atomics.store(this.#fields, field.kibibytes, kibibytes);
    Atomics.notify(this.#fields, field.stop);
  }

  /** Ends every thread at its next turn. */
  stop(): void {
    Atomics.store(this.#fields, field.stop, 1);
    Atomics.notify(this.#fields, field.stop);
  }
}

/** A thread's side of a `SettlePace`. */
export class PaceKeeper {
  readonly #fields: Int32Array;
  /** When the bytes so far should have been passed, in milliseconds. */
  #due = performance.now();

  constructor(shared: SharedArrayBuffer) {
    this.#fields = new Int32Array(shared);
  }

  get stopped(): boolean {
    return Atomics.load(this.#fields, field.stop) !== 0;
  }

  /** Waits until so many more bytes may have been passed. Blocks the thread. */
  passed(bytes: number): void {
    let left = bytes;
    for (;;) {
      const rate = Atomics.load(this.#fields, field.kibibytes) * 1024;
      const now = performance.now();
      if (rate === 0 || this.stopped) {
        this.#due = now;
        return;
      }
      // What was not used for a while is not made up for by a burst.
      this.#due = Math.max(this.#due, now - longestWait) + (left / rate) * 1000;
      left = 0;
      if (this.#due - now <= 1) return;
      Atomics.wait(this.#fields, field.stop, 0, Math.min(this.#due - now, longestWait));
      if (this.#due <= performance.now()) return;
    }
  }
}
