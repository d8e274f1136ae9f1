import type { Authorizer } from '../../runtime/authorizer.ts';
import type { CallContext } from '../../runtime/call-context.ts';
import { Dispatcher } from '../../runtime/dispatcher.ts';
import type { Registry } from '../../runtime/registry.ts';
import type { Session } from '../../runtime/session.ts';
import type { ManagedObjectReference } from '../../schema/values.ts';

/** Lets everybody do everything. */
export const allowEverything: Authorizer = { holds: () => true };

/** A client of one connection, that keeps the token it is given. */
export class TestClient {
  readonly clientAddress: string;
  readonly userAgent = 'test';
  /** What it showed in the handshake. */
  clientCertificate: Uint8Array | undefined;
  token: string | undefined;
  session: Session | undefined;
  readonly #dispatcher: Dispatcher;
  readonly #registry: Registry;
  readonly #resolve: (token: string) => Session | undefined;

  constructor(options: {
    registry: Registry;
    authorizer?: Authorizer;
    resolve?: (token: string) => Session | undefined;
    clientAddress?: string;
    onDefect?: (method: string, error: unknown) => void;
  }) {
    const { registry, authorizer = allowEverything, resolve = () => undefined, clientAddress = '192.0.2.1' } = options;
    this.#registry = registry;
    this.#resolve = resolve;
    this.clientAddress = clientAddress;
    this.#dispatcher = new Dispatcher({
      registry,
      authorizer,
      ...(options.onDefect === undefined ? {} : { onDefect: options.onDefect }),
    });
  }

  establish(session: Session, token: string): void {
    this.session = session;
    this.token = token;
  }

  release(): void {
    this.token = undefined;
    this.session = undefined;
  }

  async call(
    self: ManagedObjectReference,
    name: string,
    args: Record<string, unknown> = {},
    context?: CallContext,
  ): Promise<unknown> {
    const method = this.#registry.schema.method(name);
    if (method === undefined) throw new Error(`no method ${name}`);
    const session = this.token === undefined ? this.session : this.#resolve(this.token);
    const outcome = await this.#dispatcher.invoke({
      self,
      method,
      args,
      session,
      version: '8.0.3.0',
      signal: new AbortController().signal,
      connection: this,
      context,
    });
    return outcome.value;
  }
}

/** A session of whoever the test says. */
export function sessionOf(userName: string, groups: readonly string[] = []): Session {
  return {
    key: `session-${userName}`,
    userName,
    fullName: userName,
    groups,
    loginTime: '2026-01-01T00:00:00Z',
    locale: 'en',
    clientAddress: '192.0.2.1',
    userAgent: 'test',
    ended: false,
    onEnd: () => () => {},
  };
}

/** Rejects with a fault of that type, such as `assert.rejects(work, faultNamed('InvalidState'))` wants it. */
export function faultNamed(type: string): (error: unknown) => boolean {
  return (error) => {
    if (error instanceof Error && 'type' in error && error.type === type) return true;
    throw new Error(`expected ${type}, got ${String(error)} (${(error as { type?: string }).type})`);
  };
}
