import type { Method, TypeRef } from '../schema/schema.ts';
import type { ManagedObjectReference } from '../schema/values.ts';
import type { Authorizer } from './authorizer.ts';
import { type CallContext, trustedContext } from './call-context.ts';
import { asFault, fault, VimFault } from './fault.ts';
import type { Call, CallConnection, ManagedObject } from './managed-object.ts';
import { anonymousPrivilege, argumentPrivileges, privilegeOf } from './privileges.ts';
import type { Registry } from './registry.ts';
import type { Session } from './session.ts';

/** A call as an encoding decoded it: arguments are checked and typed already. */
export interface Invocation {
  readonly self: ManagedObjectReference;
  readonly method: Method;
  readonly args: Readonly<Record<string, unknown>>;
  readonly session: Session | undefined;
  readonly version: string;
  readonly signal: AbortSignal;
  readonly connection: CallConnection;
  /** As the client sent it. */
  readonly context?: CallContext | undefined;
}

export interface Outcome {
  readonly type: TypeRef | undefined;
  readonly value: unknown;
}

export interface DispatcherOptions {
  readonly registry: Registry;
  readonly authorizer: Authorizer;
  /** Told of errors that are ours: unexpected ones, and faults that the method does not declare. */
  readonly onDefect?: (method: string, error: unknown) => void;
}

type Implementation = (call: Call, args: Readonly<Record<string, unknown>>) => unknown;

/** Runs any method of the model: looks it up, checks session and privilege, types its faults. */
export class Dispatcher {
  readonly #registry: Registry;
  readonly #authorizer: Authorizer;
  readonly #onDefect: (method: string, error: unknown) => void;

  constructor({ registry, authorizer, onDefect = () => {} }: DispatcherOptions) {
    this.#registry = registry;
    this.#authorizer = authorizer;
    this.#onDefect = onDefect;
  }

  /** Answers the result; throws VimFault and nothing else. */
  async invoke(invocation: Invocation): Promise<Outcome> {
    const { method, args, session, version, signal, connection } = invocation;
    const { clientAddress } = connection;
    const context = trustedContext(invocation.context, session);
    const self = this.#target(invocation);
    this.#authorize(self, method, session);
    this.#authorizeArguments(method, args, session);
    const implementation = (self.class.methods as Readonly<Record<string, Implementation>>)[method.name];
    if (implementation === undefined) {
      throw fault('NotSupported', {}, `${self.ref.type}.${method.name} is not supported here.`);
    }
    const leave = session?.enter?.();
    try {
      const call = { self, method, session, version, signal, clientAddress, connection, context };
      const value = await implementation(call, args);
      return { type: method.returns, value };
    } catch (error) {
      const typed = asFault(error);
      if (!(error instanceof VimFault) || !this.#declares(method, typed.type)) this.#onDefect(method.name, error);
      throw typed;
    } finally {
      leave?.();
    }
  }

  #target({ self: ref, method, session }: Invocation): ManagedObject {
    const self = this.#registry.get(ref);
    if (self === undefined || (self.owner !== undefined && self.owner !== session)) {
      // Whoever is not signed in learns nothing about what is there.
      if (session === undefined) throw notAuthenticated(ref, method);
      throw fault(
        'ManagedObjectNotFound',
        { obj: ref },
        `The object '${ref.type}:${ref.value}' has already been deleted or has not been completely created.`,
      );
    }
    if (!self.managedType.methods.has(method.name)) {
      throw fault(
        'MethodNotFound',
        { receiver: ref, method: method.name },
        `${ref.type} has no method ${method.name}.`,
      );
    }
    return self;
  }

  #authorize(self: ManagedObject, method: Method, session: Session | undefined): void {
    const privilege = privilegeOf(method);
    if (privilege === anonymousPrivilege) return;
    if (session === undefined || session.ended) throw notAuthenticated(self.ref, method);
    // Views, filters and collectors are their session's own, whatever it may do elsewhere.
    if (self.owner === session) return;
    if (privilege === undefined) throw noPermission(self.ref, method.name);
    // A few methods need two, which the schema writes side by side.
    for (const each of privilege.split(' ')) {
      if (!this.#authorizer.holds(session, self.ref, each)) throw noPermission(self.ref, each);
    }
  }

  #authorizeArguments(method: Method, args: Readonly<Record<string, unknown>>, session: Session | undefined): void {
    const privileges = argumentPrivileges[method.name];
    if (privileges === undefined || session === undefined) return;
    for (const [name, privilege] of Object.entries(privileges)) {
      const value = args[name] as ManagedObjectReference | readonly ManagedObjectReference[] | undefined;
      for (const ref of value === undefined ? [] : [value].flat()) {
        if (!this.#authorizer.holds(session, ref, privilege)) throw noPermission(ref, privilege);
      }
    }
  }

  #declares(method: Method, type: string): boolean {
    const { schema } = this.#registry;
    return schema.isSubtype(type, 'RuntimeFault') || method.faults.some((declared) => schema.isSubtype(type, declared));
  }
}

function notAuthenticated(object: ManagedObjectReference, method: Method): VimFault {
  return fault(
    'NotAuthenticated',
    { object, privilegeId: method.privilege ?? 'System.View' },
    'The session is not authenticated.',
  );
}

export function noPermission(object: ManagedObjectReference, privilegeId: string): VimFault {
  return fault(
    'NoPermission',
    { object, privilegeId },
    `Permission to perform this operation was denied: ${privilegeId}.`,
  );
}
