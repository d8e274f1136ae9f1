/** Time, so that tests need not wait for it. */
export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  /** Runs `run` once after `milliseconds`; the answer takes it back. Does not keep the process alive. */
  after(milliseconds: number, run: () => void): () => void;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  after(milliseconds, run) {
    const timer = setTimeout(run, milliseconds);
    timer.unref();
    return () => clearTimeout(timer);
  },
};

/** The clock's time as the object model writes it, such as `2026-01-31T12:00:00.000Z`. */
export function dateTime(clock: Clock): string {
  return new Date(clock.now()).toISOString();
}
