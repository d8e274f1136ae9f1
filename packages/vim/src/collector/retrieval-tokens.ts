import { randomUUID } from 'node:crypto';
import type { Session } from '../runtime/session.ts';
import { invalidArgument } from './errors.ts';
import type { Selection } from './retrieval.ts';

/** Most retrievals that one session may leave unfinished: the oldest is let go of. */
const mostPerSession = 16;
/** Life of an unfinished retrieval nobody asks for, in milliseconds. */
const lifetimeMilliseconds = 600_000;

interface Unfinished {
  readonly collector: string;
  readonly rest: Selection;
  readonly maxObjects: number;
  readonly expiry: number;
}

/** What RetrievePropertiesEx has still to say, by token. */
export class RetrievalTokens {
  readonly #bySession = new Map<Session, Map<string, Unfinished>>();
  readonly #now: () => number;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  keep(session: Session, collector: string, { rest, maxObjects }: { rest: Selection; maxObjects: number }): string {
    let unfinished = this.#bySession.get(session);
    if (unfinished === undefined) {
      unfinished = new Map();
      this.#bySession.set(session, unfinished);
      session.onEnd(() => this.#bySession.delete(session));
    }
    for (const [token, { expiry }] of unfinished) {
      if (unfinished.size >= mostPerSession || expiry < this.#now()) unfinished.delete(token);
    }
    const token = randomUUID();
    unfinished.set(token, { collector, rest, maxObjects, expiry: this.#now() + lifetimeMilliseconds });
    return token;
  }

  /** Hands out what is left, once. Throws InvalidArgument for a token that is not of this session and collector. */
  take(session: Session, collector: string, token: string): { readonly rest: Selection; readonly maxObjects: number } {
    const unfinished = this.#bySession.get(session);
    const found = unfinished?.get(token);
    if (found === undefined || found.collector !== collector || found.expiry < this.#now()) {
      throw invalidArgument('token', 'The token is not that of an unfinished retrieval.');
    }
    unfinished?.delete(token);
    return found;
  }
}
