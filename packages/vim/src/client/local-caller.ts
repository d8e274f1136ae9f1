import { newestVersion } from '../codec/api-version.ts';
import type { ServiceContent } from '../generated/types.ts';
import type { Dispatcher } from '../runtime/dispatcher.ts';
import { nextTurn, turnEnd } from '../runtime/event-loop-turn.ts';
import { fault } from '../runtime/fault.ts';
import type { Arguments, CallConnection, ManagedTypeName, MethodName, Result } from '../runtime/managed-object.ts';
import type { Registry } from '../runtime/registry.ts';
import type { Session } from '../runtime/session.ts';
import type { Method } from '../schema/schema.ts';
import type { ManagedObjectReference } from '../schema/values.ts';
import type { Caller, CallOptions } from './caller.ts';

export interface LocalCallerOptions {
  readonly dispatcher: Dispatcher;
  readonly registry: Registry;
  /** By whom the calls are made; `SessionService.openInternal` opens one. */
  readonly session: Session;
  /** Where `content` is read; the object of that name unless told. */
  readonly serviceInstance?: ManagedObjectReference<'ServiceInstance'>;
}

/**
 * Calls within the process: arguments and results are the very values, without an encoding between. Both sides leave
 * them as they are. Checks of session, privilege and faults are those of any other call.
 */
export class LocalCaller implements Caller {
  readonly session: Session;
  readonly #dispatcher: Dispatcher;
  readonly #registry: Registry;
  readonly #serviceInstance: ManagedObjectReference<'ServiceInstance'>;
  readonly #connection: CallConnection;

  constructor({ dispatcher, registry, session, serviceInstance }: LocalCallerOptions) {
    this.session = session;
    this.#dispatcher = dispatcher;
    this.#registry = registry;
    this.#serviceInstance = serviceInstance ?? { type: 'ServiceInstance', value: 'ServiceInstance' };
    this.#connection = {
      clientAddress: session.clientAddress,
      userAgent: session.userAgent,
      establish: () => {
        throw fault('NotSupported', {}, 'A caller in the same process keeps the session that it has.');
      },
      release: () => {},
    };
  }

  async call<T extends ManagedTypeName, M extends MethodName<T> & string>(
    self: ManagedObjectReference<T>,
    method: M,
    args: Arguments<T, M>,
    options: CallOptions = {},
  ): Promise<Result<T, M>> {
    const described = this.#registry.schema.method(method);
    if (described === undefined) throw new TypeError(`there is no method ${method}`);
    const { signal } = options;
    signal?.throwIfAborted();
    const answer = this.#invoke(self, described, args as Record<string, unknown>, options);
    return (await (signal === undefined ? answer : abandonable(answer, signal))) as Result<T, M>;
  }

  content(): Promise<ServiceContent> {
    return this.call(this.#serviceInstance, 'RetrieveServiceContent', {});
  }

  async #invoke(
    self: ManagedObjectReference,
    method: Method,
    args: Readonly<Record<string, unknown>>,
    options: CallOptions,
  ): Promise<unknown> {
    const { session } = this;
    const connection = this.#connection;
    const version = newestVersion.name;
    const { signal = new AbortController().signal, ...context } = options;
    const invocation = { self, method, args, session, version, signal, connection, context };
    const { value } = await this.#dispatcher.invoke(invocation);
    return await whole(value);
  }
}

export function createLocalCaller(options: LocalCallerOptions): LocalCaller {
  return new LocalCaller(options);
}

/** The answer, or the signal's reason as soon as it fires; the call then ends by itself. */
function abandonable<R>(answer: Promise<R>, signal: AbortSignal): Promise<R> {
  return new Promise((resolve, reject) => {
    const abandon = () => reject(signal.reason);
    signal.addEventListener('abort', abandon, { once: true });
    answer.then(resolve, reject).finally(() => signal.removeEventListener('abort', abandon));
  });
}

/** Large results of the property collector are read while they are encoded; here nobody encodes them. */
async function whole(value: unknown): Promise<unknown> {
  if (isLazy(value)) return await readInTurns(value);
  const objects = (value as { readonly objects?: unknown } | undefined | null)?.objects;
  return isLazy(objects) ? { ...(value as object), objects: await readInTurns(objects) } : value;
}

function isLazy(value: unknown): value is Iterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.iterator in value && !Array.isArray(value);
}

async function readInTurns(values: Iterable<unknown>): Promise<unknown[]> {
  const read: unknown[] = [];
  let end = turnEnd();
  for (const value of values) {
    read.push(value);
    if (performance.now() < end) continue;
    await nextTurn();
    end = turnEnd();
  }
  return read;
}
