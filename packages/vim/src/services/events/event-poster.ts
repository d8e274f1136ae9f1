import type { DataTypes } from '../../generated/types.ts';
import type { Draft } from '../../runtime/registry.ts';
import type { ManagedObjectReference } from '../../schema/values.ts';
import type { PersistenceWrite } from '../persistence.ts';

/** An event to post. What is left out is filled in from the inventory as it is at that moment. */
export interface EventRequest {
  /** The event's type, such as `VmPoweredOnEvent`. */
  readonly type: keyof DataTypes;
  /** What it is about: becomes the `vm`, `host`, `datacenter`, `computeResource`, `ds`, `net`, `dvs` argument. */
  readonly entity?: ManagedObjectReference | undefined;
  /** Who did it; empty for the system. */
  readonly userName?: string | undefined;
  /** Key of the first event of the chain; its own key when left out. */
  readonly chainId?: number | undefined;
  /** Members of the type, and arguments: these replace what the inventory tells of them. */
  readonly members?: object | undefined;
  /** Replaces the message made from the type's format. */
  readonly message?: string | undefined;
  /** When it happened, where it happened elsewhere; now when left out. */
  readonly createdTime?: string | undefined;
  /** Written in one batch with the event, whole or not at all, such as how far events of another server were taken over. */
  readonly alongside?: readonly PersistenceWrite[] | undefined;
}

/** Posts events; implemented by EventService. */
export interface EventPoster {
  /** Posts in the given commit, or in one of its own. Answers the event's key. */
  post(draft: Draft | undefined, event: EventRequest): number;
  /** Takes a key for a chain of events to come. */
  newChain(): number;
  /**
   * Resolves when every event posted so far is durable, and with it what is to be written `alongside`: in one batch with
   * the last of them, or after all of them. What could not be written is written with later ones.
   */
  flush(alongside?: readonly PersistenceWrite[]): Promise<void>;
}
