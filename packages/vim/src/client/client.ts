import { apiVersion, newestVersion } from '../codec/api-version.ts';
import { WireTypes } from '../codec/wire-types.ts';
import type { PropertyFilterSpec, ServiceContent, UpdateSet, UserSession } from '../generated/types.ts';
import type { Arguments, ManagedTypeName, MethodName, Properties, Result } from '../runtime/managed-object.ts';
import { loadSchema, type Schema } from '../schema/schema.ts';
import type { ManagedObjectReference } from '../schema/values.ts';
import type { CallEncoding } from './call-encoding.ts';
import type { Caller, CallOptions } from './caller.ts';
import { type FollowOptions, follow } from './follow.ts';
import { JsonEncoding } from './json-encoding.ts';
import { type Retrieved, retrieve } from './retrieve.ts';
import { SoapEncoding } from './soap-encoding.ts';
import { type ClientTls, Transport } from './transport.ts';
import { type WaitForTaskOptions, waitForTask } from './wait-for-task.ts';

export interface ClientOptions {
  /** Of the interface, such as `https://host/sdk`; without a path, `/sdk`. */
  readonly url: string | URL;
  readonly encoding?: 'soap' | 'json';
  readonly tls?: ClientTls;
  /** Version of the API to speak; the newest unless told. */
  readonly version?: string;
  /** Largest answer in bytes; 256 MB unless told. */
  readonly responseLimit?: number;
  /** Milliseconds without a byte after which a call is given up; 15 minutes unless told, as updates are waited for. */
  readonly timeout?: number;
  /** Who calls, as sessions and events show it. */
  readonly userAgent?: string;
  /** Shared with others in the process; loaded where it is missing. */
  readonly schema?: Schema;
}

const serviceInstance: ManagedObjectReference<'ServiceInstance'> = {
  type: 'ServiceInstance',
  value: 'ServiceInstance',
};

/**
 * A typed client of the Management Interface, ours or anybody's.
 *
 *     await using client = createClient({ url: 'https://host/sdk', tls: { fingerprint } });
 *     await client.signIn('root', password);
 *     const task = await client.call(machine, 'PowerOnVM_Task', {});
 *     await client.waitForTask(task);
 */
export class Client implements Caller, AsyncDisposable {
  readonly #schema: Schema;
  readonly #transport: Transport;
  readonly #encoding: CallEncoding;
  #content: Promise<ServiceContent> | undefined;
  #signedIn = false;

  constructor(options: ClientOptions) {
    const { encoding = 'soap', tls = {}, responseLimit = 256 * 1024 * 1024, timeout = 900_000 } = options;
    const url = new URL(options.url);
    const path = url.pathname === '/' ? '/sdk' : url.pathname.replace(/\/$/, '');
    const version = options.version === undefined ? newestVersion : apiVersion(options.version);
    this.#schema = options.schema ?? loadSchema();
    this.#transport = new Transport({
      url,
      tls,
      responseLimit,
      timeout,
      userAgent: options.userAgent ?? 'hypostyle-vim',
    });
    const types = new WireTypes(this.#schema);
    this.#encoding =
      encoding === 'soap'
        ? new SoapEncoding(types, version, this.#transport, path)
        : new JsonEncoding(types, version, this.#transport, path);
  }

  async call<T extends ManagedTypeName, M extends MethodName<T> & string>(
    self: ManagedObjectReference<T>,
    method: M,
    args: Arguments<T, M>,
    options: CallOptions = {},
  ): Promise<Result<T, M>> {
    const described = this.#schema.method(method);
    if (described === undefined) throw new TypeError(`there is no method ${method}`);
    return (await this.#encoding.call(self, described, args as Record<string, unknown>, options)) as Result<T, M>;
  }

  content(): Promise<ServiceContent> {
    this.#content ??= this.call(serviceInstance, 'RetrieveServiceContent', {}).catch((error: unknown) => {
      this.#content = undefined;
      throw error;
    });
    return this.#content;
  }

  /** Throws InvalidLogin. */
  async signIn(userName: string, password: string, locale?: string): Promise<UserSession> {
    const { sessionManager } = await this.content();
    if (sessionManager === undefined) throw new TypeError('the server has no SessionManager');
    const session = await this.call(sessionManager, 'Login', { userName, password, locale });
    this.#signedIn = true;
    return session;
  }

  async signOut(): Promise<void> {
    const { sessionManager } = await this.content();
    this.#signedIn = false;
    try {
      if (sessionManager !== undefined) await this.call(sessionManager, 'Logout', {});
    } finally {
      this.#encoding.forget();
    }
  }

  /** Properties of objects by path, in the order of the answer. Paths without a value are missing. */
  retrieve<T extends ManagedTypeName, P extends string>(
    objects: ManagedObjectReference<T> | readonly ManagedObjectReference<T>[],
    paths: readonly (P | (keyof Properties<T> & string))[],
    options: CallOptions = {},
  ): Promise<Retrieved<T, P>[]> {
    const references = 'value' in objects ? [objects] : objects;
    return retrieve(this, references, paths as readonly P[], options);
  }

  /** Waits until a task is over: its result, or its fault thrown. An aborted wait leaves the task to itself. */
  waitForTask(task: ManagedObjectReference<'Task'>, options: WaitForTaskOptions = {}): Promise<unknown> {
    return waitForTask(this, task, options);
  }

  /** Follows what a filter selects: first what is there, then every change, until the caller stops. */
  follow(filter: PropertyFilterSpec, options: FollowOptions = {}): AsyncGenerator<UpdateSet, void, void> {
    return follow(this, filter, options);
  }

  /** Signs out if signed in, and closes connections. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      if (this.#signedIn) await this.signOut();
    } catch {
      // The session ends by itself once idle.
    } finally {
      this.#transport.close();
    }
  }
}

export function createClient(options: ClientOptions): Client {
  return new Client(options);
}
