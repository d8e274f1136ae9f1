import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { PasswordHash } from './password-hash.ts';

/** How long a password that was right is known to be, milliseconds. */
const lifetime = 60_000;
/** Most passwords that are known at a time; the oldest give way. */
const limit = 1_000;

interface Verified {
  readonly mark: Buffer;
  readonly until: number;
}

/**
 * Passwords that were right a moment ago: scrypt is slow on purpose, and clients that sign in with every request would
 * wait for each other. Kept as a keyed digest in memory alone, by the hash that they were compared with: another
 * password has another hash.
 */
export class VerifiedPasswords {
  readonly #key = randomBytes(32);
  readonly #now: () => number;
  readonly #verified = new Map<PasswordHash, Verified>();

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** True only for the password that was remembered last for that hash. */
  knows(hash: PasswordHash, password: string): boolean {
    const verified = this.#verified.get(hash);
    return (
      verified !== undefined &&
      verified.until > this.#now() &&
      timingSafeEqual(this.#mark(hash, password), verified.mark)
    );
  }

  remember(hash: PasswordHash, password: string): void {
    this.#verified.delete(hash);
    this.#verified.set(hash, { mark: this.#mark(hash, password), until: this.#now() + lifetime });
    for (const oldest of this.#verified.keys()) {
      if (this.#verified.size <= limit) break;
      this.#verified.delete(oldest);
    }
  }

  #mark(hash: PasswordHash, password: string): Buffer {
    return createHmac('sha256', this.#key).update(hash.salt).update('\0').update(password.normalize('NFC')).digest();
  }
}
