import type { Method } from '../schema/schema.ts';
import type { ManagedObjectReference } from '../schema/values.ts';

/** One way to put a call on the wire; keeps the session of its answers. */
export interface CallEncoding {
  /** The result. Throws VimFault for the interface's faults, ClientError for anything else. */
  call(
    self: ManagedObjectReference,
    method: Method,
    args: Readonly<Record<string, unknown>>,
    signal: AbortSignal | undefined,
  ): Promise<unknown>;
  /** Lets go of the session. */
  forget(): void;
}
