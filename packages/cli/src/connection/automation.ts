import { request } from 'node:https';
import { CliError, type FailureKind } from '../errors.ts';
import type { ServerSession } from './server-session.ts';

/** Largest answer, bytes. */
const largest = 64 * 1024 * 1024;
/** Milliseconds without a byte after which a call is given up. */
const patience = 60_000;

/** The Automation interface of a center, `/api`: for what the Management Interface has no words for. */
export interface Automation {
  get<T>(path: string): Promise<T>;
  post<T>(path: string, body?: unknown): Promise<T>;
  patch(path: string, body: unknown): Promise<void>;
  delete(path: string): Promise<void>;
}

/** Works in a session of its own, which ends whatever happens. */
export async function withAutomation<T>(session: ServerSession, work: (api: Automation) => Promise<T>): Promise<T> {
  const { userName, address } = session;
  const basic = `Basic ${Buffer.from(`${userName}:${address.password}`).toString('base64')}`;
  const token = await call<string>(session, 'POST', '/session', { authorization: basic });
  const headers = { 'vmware-api-session-id': token };
  const send = <A>(method: string, path: string, body?: unknown) => call<A>(session, method, path, headers, body);
  try {
    return await work({
      get: (path) => send('GET', path),
      post: (path, body) => send('POST', path, body),
      patch: (path, body) => send('PATCH', path, body),
      delete: (path) => send('DELETE', path),
    });
  } finally {
    // It ends by itself once idle.
    await send('DELETE', '/session').catch(() => {});
  }
}

const kinds: Readonly<Record<string, FailureKind>> = {
  NOT_FOUND: 'not-found',
  UNAUTHENTICATED: 'unreachable',
};

const nextSteps: Readonly<Record<string, string>> = {
  UNAUTHORIZED: 'Sign in as somebody who may do it, with --username.',
  ALREADY_EXISTS: 'Choose another name.',
};

async function call<T>(
  { address, tls }: ServerSession,
  method: string,
  path: string,
  headers: Readonly<Record<string, string>>,
  body?: unknown,
): Promise<T> {
  const text = body === undefined ? '' : JSON.stringify(body);
  const { status, answer } = await new Promise<{ status: number; answer: string }>((resolve, reject) => {
    const fail = (cause: Error) =>
      reject(new CliError('unreachable', `${address.url.origin} cannot be reached: ${cause.message}.`, { cause }));
    const outgoing = request(
      new URL(`/api${path}`, address.url),
      {
        ...tls,
        method,
        timeout: patience,
        headers: { ...headers, ...(text === '' ? {} : { 'content-type': 'application/json' }) },
      },
      (incoming) => {
        let received = '';
        incoming.setEncoding('utf8').on('data', (part: string) => {
          received += part;
          if (received.length > largest) incoming.destroy(new Error('the answer is too large'));
        });
        incoming.on('error', fail);
        incoming.on('end', () => resolve({ status: incoming.statusCode ?? 0, answer: received }));
      },
    );
    outgoing.on('error', fail).on('timeout', () => outgoing.destroy(new Error('no answer in time')));
    outgoing.end(text);
  });
  const value = parsed(answer);
  if (status >= 200 && status < 300) return value as T;
  throw refusal(status, value);
}

function parsed(text: string): unknown {
  try {
    return text === '' ? undefined : JSON.parse(text);
  } catch {
    return undefined;
  }
}

function refusal(status: number, value: unknown): CliError {
  const { error_type: type = '', messages = [] } = (value ?? {}) as {
    readonly error_type?: string;
    readonly messages?: readonly { readonly default_message?: string }[];
  };
  const message = messages[0]?.default_message ?? `The server answers ${status}.`;
  const next = nextSteps[type];
  return new CliError(kinds[type] ?? 'failed', message, next === undefined ? {} : { next });
}
