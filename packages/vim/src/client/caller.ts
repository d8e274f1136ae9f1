import type { ServiceContent } from '../generated/types.ts';
import type { CallContext } from '../runtime/call-context.ts';
import type { Arguments, ManagedTypeName, MethodName, Result } from '../runtime/managed-object.ts';
import type { ManagedObjectReference } from '../schema/values.ts';

/** What goes with a call: its context, as far as the server trusts the session with it, and how it is given up. */
export interface CallOptions extends CallContext {
  readonly signal?: AbortSignal;
}

/** What the conveniences of a client are made of. */
export interface Caller {
  /** Calls a method. Throws VimFault with the fault's type, ClientError where no such answer came. */
  call<T extends ManagedTypeName, M extends MethodName<T> & string>(
    self: ManagedObjectReference<T>,
    method: M,
    args: Arguments<T, M>,
    options?: CallOptions,
  ): Promise<Result<T, M>>;
  /** The service's objects, read once. */
  content(): Promise<ServiceContent>;
}
