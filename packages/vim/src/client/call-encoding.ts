import type { Method } from '../schema/schema.ts';
import type { ManagedObjectReference } from '../schema/values.ts';
import type { CallOptions } from './caller.ts';

/** One way to put a call on the wire; keeps the session of its answers. */
export interface CallEncoding {
  /** The result. Throws VimFault for the interface's faults, ClientError for anything else. */
  call(
    self: ManagedObjectReference,
    method: Method,
    args: Readonly<Record<string, unknown>>,
    options: CallOptions,
  ): Promise<unknown>;
  /** Lets go of the session. */
  forget(): void;
}
