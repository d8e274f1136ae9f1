/**
 * How much processor time the event loop takes at most before it lets a timer in. Unlike the time that passed, it does
 * not count what other processes on the same processors took.
 */
export class LongestWork {
  #timer: NodeJS.Timeout | undefined;
  #longest = 0;

  begin(): void {
    this.#longest = 0;
    let before = processorTime();
    this.#timer = setInterval(() => {
      const now = processorTime();
      this.#longest = Math.max(this.#longest, now - before);
      before = now;
    }, 1);
  }

  /** Milliseconds. */
  end(): number {
    clearInterval(this.#timer);
    return this.#longest;
  }
}

function processorTime(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}
