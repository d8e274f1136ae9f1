import { createHmac, randomBytes } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { type Session, type SessionService, VimFault } from '@hypostyle/vim';

export interface SignedInRequest {
  readonly session?: Session;
  /** `Set-Cookie` that saves the client from signing in again. */
  readonly setCookie?: string;
  /** The sign-in could not be checked now; the message says why. */
  readonly unavailable?: string;
}

interface Remembered {
  readonly token: string;
  readonly until: number;
}

/** Milliseconds for which a name and password stand for the session that they began. */
const remembered = 300_000;
const rememberedLimit = 256;

/**
 * Who sent a request for files: by session cookie, service ticket or Basic sign-in (RFC 7617). Clients that send Basic
 * with each request get one session, not one a request.
 */
export class RequestSignIn {
  readonly #sessions: Pick<SessionService, 'byToken' | 'redeemServiceTicket' | 'signIn'>;
  readonly #secret = randomBytes(32);
  readonly #byCredentials = new Map<string, Remembered>();

  constructor(sessions: Pick<SessionService, 'byToken' | 'redeemServiceTicket' | 'signIn'>) {
    this.#sessions = sessions;
  }

  async identify(incoming: IncomingMessage): Promise<SignedInRequest> {
    const cookies = incoming.headers.cookie ?? '';
    const token = cookie(cookies, 'vmware_soap_session');
    const byCookie = token === undefined ? undefined : this.#sessions.byToken(token);
    if (byCookie !== undefined) return { session: byCookie };
    const ticket = cookie(cookies, 'vmware_cgi_ticket');
    if (ticket !== undefined) {
      const request = { method: incoming.method ?? 'GET', url: incoming.url ?? '/' };
      const session = this.#sessions.redeemServiceTicket(ticket, request);
      if (session !== undefined) return { session };
    }
    const credentials = parseBasic(incoming.headers.authorization);
    return credentials === undefined ? {} : this.#basic(incoming, credentials);
  }

  async #basic(
    incoming: IncomingMessage,
    credentials: { readonly userName: string; readonly password: string },
  ): Promise<SignedInRequest> {
    const clientAddress = incoming.socket.remoteAddress ?? '';
    const key = createHmac('sha256', this.#secret)
      .update(JSON.stringify([clientAddress, credentials.userName, credentials.password]))
      .digest('base64');
    const known = this.#byCredentials.get(key);
    const session = known !== undefined && known.until > Date.now() ? this.#sessions.byToken(known.token) : undefined;
    if (known !== undefined && session !== undefined) return { session, setCookie: sessionCookie(known.token) };
    this.#byCredentials.delete(key);
    try {
      const begun = await this.#sessions.signIn(credentials, {
        clientAddress,
        userAgent: incoming.headers['user-agent'] ?? '',
      });
      this.#remember(key, begun.token);
      return { session: begun.session, setCookie: sessionCookie(begun.token) };
    } catch (error) {
      if (!(error instanceof VimFault)) throw error;
      return error.type === 'InvalidLogin' ? {} : { unavailable: error.message };
    }
  }

  #remember(key: string, token: string): void {
    const oldest = this.#byCredentials.keys().next().value;
    if (this.#byCredentials.size >= rememberedLimit && oldest !== undefined) this.#byCredentials.delete(oldest);
    this.#byCredentials.set(key, { token, until: Date.now() + remembered });
  }
}

function sessionCookie(token: string): string {
  return `vmware_soap_session="${token}"; Path=/; HttpOnly; Secure`;
}

/** The value of a cookie, at most 256 characters. */
export function cookie(header: string, name: string): string | undefined {
  for (const pair of header.split(';')) {
    const mark = pair.indexOf('=');
    if (mark < 0 || pair.slice(0, mark).trim() !== name) continue;
    const value = pair
      .slice(mark + 1)
      .trim()
      .replace(/^"(.*)"$/, '$1');
    if (value !== '' && value.length <= 256) return value;
  }
  return undefined;
}

export function parseBasic(header: string | undefined): { userName: string; password: string } | undefined {
  const encoded = /^Basic +([A-Za-z0-9+/=]{1,4096})$/i.exec(header?.trim() ?? '')?.[1];
  if (encoded === undefined) return undefined;
  const text = Buffer.from(encoded, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  return colon < 0 ? undefined : { userName: text.slice(0, colon), password: text.slice(colon + 1) };
}
