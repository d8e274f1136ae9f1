import type { CallConnection } from '../runtime/managed-object.ts';
import type { Session } from '../runtime/session.ts';
import { type HttpRequest, header } from './http-exchange.ts';

/** Characters of a session's token at most. */
export const longestToken = 256;

/** The connection of a call that came by HTTP. */
export class RequestConnection implements CallConnection {
  readonly clientAddress: string;
  readonly userAgent: string;
  /** Token that the answer hands to the client. */
  token: string | undefined;

  readonly #request: HttpRequest;

  constructor(request: HttpRequest) {
    this.#request = request;
    this.clientAddress = request.clientAddress;
    this.userAgent = header(request, 'user-agent') ?? '';
  }

  get clientCertificate(): Uint8Array | undefined {
    return this.#request.clientCertificate;
  }

  establish(_session: Session, token: string): void {
    if (token.length > longestToken || !/^[A-Za-z0-9._~+/=-]+$/.test(token)) {
      throw new Error('a session token that fits no header');
    }
    this.token = token;
  }

  release(): void {
    this.token = undefined;
  }
}
