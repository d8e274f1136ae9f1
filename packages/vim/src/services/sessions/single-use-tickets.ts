import type { Clock } from '../clock.ts';
import { randomSecret, secretHash } from './secrets.ts';

interface Ticket<T> {
  readonly value: T;
  readonly expires: number;
}

/** Tickets that are good once and for a short time; the oldest give way when there are too many. */
export class SingleUseTickets<T> {
  readonly #clock: Clock;
  readonly #lifetime: number;
  readonly #limit: number;
  readonly #tickets = new Map<string, Ticket<T>>();

  /** `lifetime` in milliseconds; `limit` is the most tickets at a time. */
  constructor(clock: Clock, lifetime: number, limit: number) {
    this.#clock = clock;
    this.#lifetime = lifetime;
    this.#limit = limit;
  }

  issue(value: T): string {
    const now = this.#clock.now();
    for (const [hash, ticket] of this.#tickets) {
      if (ticket.expires > now && this.#tickets.size < this.#limit) break;
      this.#tickets.delete(hash);
    }
    const secret = randomSecret();
    this.#tickets.set(secretHash(secret), { value, expires: now + this.#lifetime });
    return secret;
  }

  /** The ticket's value, once, when `accepts` says so. */
  redeem(secret: string, accepts: (value: T) => boolean = () => true): T | undefined {
    const hash = secretHash(secret);
    const ticket = this.#tickets.get(hash);
    if (ticket === undefined) return undefined;
    this.#tickets.delete(hash);
    return ticket.expires > this.#clock.now() && accepts(ticket.value) ? ticket.value : undefined;
  }

  discard(matches: (value: T) => boolean): void {
    for (const [hash, ticket] of this.#tickets) if (matches(ticket.value)) this.#tickets.delete(hash);
  }
}
