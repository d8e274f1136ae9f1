import type { Clock } from '../clock.ts';

interface Failures {
  count: number;
  lockedUntil: number;
  forgetAt: number;
}

const freeFailures = { pair: 5, address: 30 };
const firstLock = 30_000;
const longestLock = 900_000;
/** Failures are forgotten after as long without another. */
const memory = 900_000;
/** Most names and addresses remembered; the oldest give way. */
const rememberedLimit = 20_000;

/**
 * Slows down the guessing of passwords: after 5 failures for a name from one address, or 30 from an address whatever
 * the name, sign-in is refused for 30 seconds, then twice as long each time, up to 15 minutes.
 */
export class LoginThrottle {
  readonly #clock: Clock;
  readonly #failures = new Map<string, Failures>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  refuses(userName: string, address: string): boolean {
    const now = this.#clock.now();
    return this.#keys(userName, address).some(({ key }) => (this.#failures.get(key)?.lockedUntil ?? 0) > now);
  }

  failed(userName: string, address: string): void {
    const now = this.#clock.now();
    for (const { key, free } of this.#keys(userName, address)) {
      const known = this.#failures.get(key);
      const count = known === undefined || known.forgetAt <= now ? 1 : known.count + 1;
      const lock = count < free ? 0 : Math.min(longestLock, firstLock * 2 ** Math.min(10, count - free));
      this.#failures.delete(key);
      this.#failures.set(key, { count, lockedUntil: now + lock, forgetAt: now + lock + memory });
    }
    for (const key of this.#failures.keys()) {
      if (this.#failures.size <= rememberedLimit) break;
      this.#failures.delete(key);
    }
  }

  succeeded(userName: string, address: string): void {
    this.#failures.delete(pairKey(userName, address));
  }

  #keys(userName: string, address: string): { key: string; free: number }[] {
    return [
      { key: pairKey(userName, address), free: freeFailures.pair },
      { key: JSON.stringify([address]), free: freeFailures.address },
    ];
  }
}

function pairKey(userName: string, address: string): string {
  return JSON.stringify([userName.toLowerCase().slice(0, 256), address]);
}
