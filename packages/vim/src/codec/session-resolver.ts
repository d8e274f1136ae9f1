import type { Session } from '../runtime/session.ts';

/** Finds the session that a request belongs to; implemented beside SessionManager, which also makes the tokens. */
export interface SessionResolver {
  /**
   * The session of a token that `CallConnection.establish` gave out; undefined once it ended or when nobody knows it.
   * The token is whatever a stranger sent, of at most 256 characters.
   */
  byToken(token: string): Session | undefined;
}
