import type { Clock } from '../clock.ts';

/** When an account is locked, whoever fails to sign in and from wherever. */
export interface LockOutPolicy {
  /** Failures that lock an account; 0 locks none. */
  readonly attempts: number;
  /** Failures within so many milliseconds count together; infinite where only a sign-in makes them forgotten. */
  readonly intervalMilliseconds: number;
  /** Milliseconds until an account unlocks by itself. */
  readonly unlockMilliseconds: number;
  /** Accounts that are never locked, so that a stranger cannot lock everybody out; by their one name. */
  readonly neverLocked?: readonly string[];
}

interface Failures {
  readonly times: readonly number[];
  readonly lockedUntil: number;
}

/** Most names remembered; the oldest give way. */
const rememberedLimit = 10_000;

/** Accounts that are locked out after failed sign-ins. */
export class AccountLocks {
  readonly #clock: Clock;
  readonly #policy: () => LockOutPolicy;
  readonly #failures = new Map<string, Failures>();

  /** The policy is asked for at every failure: settings change while a server runs. */
  constructor(clock: Clock, policy: () => LockOutPolicy) {
    this.#clock = clock;
    this.#policy = policy;
  }

  refuses(name: string): boolean {
    return (this.#failures.get(keyOf(name))?.lockedUntil ?? 0) > this.#clock.now();
  }

  /** Counts a failure; answers what to tell when it locked the account. */
  failed(name: string): { readonly seconds: number; readonly attempts: number } | undefined {
    const { attempts, intervalMilliseconds, unlockMilliseconds, neverLocked = [] } = this.#policy();
    const key = keyOf(name);
    if (attempts <= 0 || neverLocked.some((each) => keyOf(each) === key)) return undefined;
    const now = this.#clock.now();
    const recent = this.#failures.get(key)?.times.filter((time) => time > now - intervalMilliseconds) ?? [];
    const times = [...recent, now];
    const locks = times.length >= attempts;
    this.#failures.delete(key);
    this.#failures.set(key, locks ? { times: [], lockedUntil: now + unlockMilliseconds } : { times, lockedUntil: 0 });
    for (const oldest of this.#failures.keys()) {
      if (this.#failures.size <= rememberedLimit) break;
      this.#failures.delete(oldest);
    }
    return locks ? { seconds: Math.ceil(unlockMilliseconds / 1000), attempts } : undefined;
  }

  succeeded(name: string): void {
    this.#failures.delete(keyOf(name));
  }

  unlock(name: string): void {
    this.#failures.delete(keyOf(name));
  }
}

function keyOf(name: string): string {
  return name.toLowerCase().slice(0, 256);
}
