import type {
  Authorizer,
  CallConnection,
  Dispatcher,
  HttpRequest,
  ManagedObject,
  ManagedObjectReference,
  ManagedTypeName,
  ManagedTypes,
  Properties,
  Registry,
  Session,
} from '@hypostyle/vim';
import { TimeSlice } from '@hypostyle/vim';
import { single } from '../edge/session-token.ts';
import { AutomationError, notFound, unauthorized } from '../errors.ts';
import type { TaskWatch } from './task-watch.ts';

export interface CenterViewOptions {
  readonly registry: Registry;
  readonly dispatcher: Dispatcher;
  readonly authorizer: Authorizer;
  readonly tasks: TaskWatch;
  readonly rootFolder: ManagedObjectReference;
}

type MethodsOf<T extends ManagedTypeName> = ManagedTypes[T]['methods'];
type ArgumentsOf<M> = M extends { args: infer A } ? A : never;
type ResultOf<M> = M extends { result: infer R } ? R : never;

/** Longest way up that is followed: a guard against a loop of parents. */
const deepest = 256;

/** The center as one session may see it and act on it. */
export class CenterView {
  readonly session: Session | undefined;
  readonly registry: Registry;
  readonly rootFolder: ManagedObjectReference;
  readonly #options: CenterViewOptions;
  readonly #request: HttpRequest;

  constructor(options: CenterViewOptions, session: Session | undefined, request: HttpRequest) {
    this.#options = options;
    this.registry = options.registry;
    this.rootFolder = options.rootFolder;
    this.session = session;
    this.#request = request;
  }

  holds(object: ManagedObjectReference, privilege: string): boolean {
    return this.session !== undefined && this.#options.authorizer.holds(this.session, object, privilege);
  }

  reads(object: ManagedObject): boolean {
    return object.owner === undefined && this.holds(object.ref, 'System.Read');
  }

  /** Fails with `unauthorized`. */
  require(object: ManagedObjectReference, privilege: string): void {
    if (!this.holds(object, privilege)) throw unauthorized(privilege);
  }

  /** Fails with `unauthorized` where the session may not call the method: before the state of the object is told. */
  requireCall(object: ManagedObject, method: string): void {
    for (const privilege of this.registry.schema.method(method)?.privilege?.split(' ') ?? []) {
      this.require(object.ref, privilege);
    }
  }

  /** The object of that identifier. Fails with `not_found` and, where the session may not read it, `unauthorized`. */
  get(type: ManagedTypeName, id: string): ManagedObject {
    const object = this.find(type, id);
    if (object === undefined) throw notFound(type, id);
    this.require(object.ref, 'System.Read');
    return object;
  }

  /** The object of that identifier and kind, whoever may see it. */
  find(type: ManagedTypeName, id: string): ManagedObject | undefined {
    const object = this.registry.byValue(id);
    if (object === undefined || object.owner !== undefined) return undefined;
    return this.registry.schema.isSubtype(object.ref.type, type) ? object : undefined;
  }

  /**
   * Objects of a kind that the session reads and `matches` takes, in slices. Fails with `unable_to_allocate_resource`
   * where there are more than `limit`.
   */
  async select(
    type: ManagedTypeName,
    limit: number,
    options: {
      readonly ids?: readonly string[] | undefined;
      readonly matches?: (object: ManagedObject) => boolean;
    } = {},
  ): Promise<ManagedObject[]> {
    const { ids, matches = () => true } = options;
    const found: ManagedObject[] = [];
    const slice = new TimeSlice();
    for (const object of ids === undefined ? this.registry.all(type) : this.#named(type, ids)) {
      if (matches(object) && this.reads(object)) found.push(object);
      if (found.length > limit) throw tooMany(limit);
      if (slice.isOver()) await slice.rest();
    }
    return found;
  }

  *#named(type: ManagedTypeName, ids: readonly string[]): Generator<ManagedObject> {
    for (const id of new Set(ids)) {
      const object = this.find(type, id);
      if (object !== undefined) yield object;
    }
  }

  /** References above the object, nearest first. */
  *above(object: ManagedObject): Generator<ManagedObject> {
    let at = this.#parent(object);
    for (let depth = 0; at !== undefined && depth < deepest; depth += 1) {
      yield at;
      at = this.#parent(at);
    }
  }

  /** The nearest object of a kind above. */
  nearest(object: ManagedObject, type: ManagedTypeName): ManagedObject | undefined {
    for (const above of this.above(object)) {
      if (this.registry.schema.isSubtype(above.ref.type, type)) return above;
    }
    return undefined;
  }

  #parent(object: ManagedObject): ManagedObject | undefined {
    const parent = (object.value('parent') ?? object.value('parentVApp')) as ManagedObjectReference | undefined;
    return parent === undefined ? undefined : this.registry.get(parent);
  }

  /** Calls a method as SOAP does: with its privileges, events and faults. */
  async invoke<T extends ManagedTypeName, M extends keyof MethodsOf<T> & string>(
    _type: T,
    self: ManagedObjectReference,
    name: M,
    args: ArgumentsOf<MethodsOf<T>[M]>,
  ): Promise<ResultOf<MethodsOf<T>[M]>> {
    const method = this.registry.schema.method(name);
    if (method === undefined) throw new AutomationError('unsupported', `${name} is not supported here.`);
    const { value } = await this.#options.dispatcher.invoke({
      self,
      method,
      args: args as Readonly<Record<string, unknown>>,
      session: this.session,
      version: this.registry.schema.release,
      signal: this.#request.signal,
      connection: connectionOf(this.#request),
    });
    return value as ResultOf<MethodsOf<T>[M]>;
  }

  /** Calls a method that answers a task, and waits for its result. */
  async run<T extends ManagedTypeName, M extends keyof MethodsOf<T> & string>(
    type: T,
    self: ManagedObjectReference,
    name: M,
    args: ArgumentsOf<MethodsOf<T>[M]>,
  ): Promise<unknown> {
    const task = (await this.invoke(type, self, name, args)) as ManagedObjectReference<'Task'>;
    return this.#options.tasks.result(task, this.#request.signal);
  }
}

/** A property of an object, typed by the managed type that declares it. */
export function read<T extends ManagedTypeName, P extends keyof Properties<T> & string>(
  _type: T,
  object: ManagedObject | undefined,
  property: P,
): Properties<T>[P] | undefined {
  return object?.value(property) as Properties<T>[P] | undefined;
}

export function nameOf(object: ManagedObject): string {
  const name = object.value('name');
  return typeof name === 'string' ? name : object.ref.value;
}

function tooMany(limit: number): AutomationError {
  return new AutomationError('unable_to_allocate_resource', `Too many objects match: at most ${limit} are listed.`);
}

/** Sessions of this interface are begun and ended by its own operations. */
function connectionOf(request: HttpRequest): CallConnection {
  return {
    clientAddress: request.clientAddress,
    userAgent: single(request, 'user-agent') ?? '',
    establish: () => {
      throw new Error('a session is not begun here');
    },
    release: () => {},
  };
}
