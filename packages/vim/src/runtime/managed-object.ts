import type { ManagedTypes } from '../generated/types.ts';
import type { ManagedType, Method } from '../schema/schema.ts';
import type { ManagedObjectReference } from '../schema/values.ts';
import type { CallContext } from './call-context.ts';
import type { Session } from './session.ts';

export type ManagedTypeName = keyof ManagedTypes;
export type Properties<T extends ManagedTypeName> = ManagedTypes[T]['properties'];
type Methods<T extends ManagedTypeName> = ManagedTypes[T]['methods'];
export type MethodName<T extends ManagedTypeName> = keyof Methods<T>;
export type Arguments<T extends ManagedTypeName, M extends MethodName<T>> = Methods<T>[M] extends { args: infer A }
  ? A
  : never;
export type Result<T extends ManagedTypeName, M extends MethodName<T>> = Methods<T>[M] extends { result: infer R }
  ? R
  : never;
type ResultOf<M> = M extends { result: infer R } ? R : never;
type ArgumentsOf<M> = M extends { args: infer A } ? A : never;

/** Where a call came from, and how SessionManager tells that client of its session. */
export interface CallConnection {
  /** Address of the client, for events and sessions. */
  readonly clientAddress: string;
  /** User-Agent as sent, empty when none was. */
  readonly userAgent: string;
  /** The certificate in DER that the client showed, having proved that it has the key; nobody vouches for it. */
  readonly clientCertificate?: Uint8Array | undefined;
  /** Login and its like: the answer carries `token`, by which SessionResolver finds the session from now on. */
  establish(session: Session, token: string): void;
  /** Logout: the answer takes the client's token back. */
  release(): void;
}

/** One call under way, given to the method that answers it. */
export interface Call {
  readonly self: ManagedObject;
  readonly method: Method;
  /** Undefined before sign-in, for methods that need none. */
  readonly session: Session | undefined;
  /** Version of the API that the client speaks, such as `6.7`. */
  readonly version: string;
  /** Fires when the client goes away or the server stops. */
  readonly signal: AbortSignal;
  /** Address of the client, for events. */
  readonly clientAddress: string;
  readonly connection: CallConnection;
  /** What came with it; `realUser` only where the session is trusted with it. `actingUser` tells who acts. */
  readonly context: CallContext;
}

/** Methods of one managed type. A method that is not in the table answers NotSupported. */
export type MethodTable<T extends ManagedTypeName> = {
  readonly [M in keyof Methods<T>]?: (
    call: Call,
    args: ArgumentsOf<Methods<T>[M]>,
  ) => ResultOf<Methods<T>[M]> | Promise<ResultOf<Methods<T>[M]>>;
};

/** A property computed from others when somebody looks: remembered until one of `from` changes. */
export interface DerivedProperty {
  readonly from: readonly string[];
  compute(self: ManagedObject): unknown;
}

/** What all objects of a kind share. */
export interface ManagedObjectClass<T extends ManagedTypeName = ManagedTypeName> {
  readonly type: T;
  readonly methods: MethodTable<T>;
  readonly derived?: { readonly [P in keyof Properties<T>]?: DerivedProperty };
  /**
   * The entity that an object which is none belongs to, such as a host's manager: who may see it and do what with it is
   * decided there. Tasks, alarms and snapshots need not say theirs; all others count as the root folder.
   */
  readonly entity?: (self: ManagedObject) => ManagedObjectReference | undefined;
  /**
   * Properties whose value depends on who looks (`SessionManager.currentSession`). A reader takes the value from here,
   * undefined session before sign-in, and the version from `propertyVersion`, as ever: `Draft.touch` moves it on.
   */
  readonly perSession?: {
    readonly [P in keyof Properties<T>]?: (self: ManagedObject, session: Session | undefined) => Properties<T>[P];
  };
}

/** A managed object as everybody sees it: the state of the last commit. Values are immutable. */
export interface ManagedObject {
  readonly ref: ManagedObjectReference;
  readonly managedType: ManagedType;
  readonly class: ManagedObjectClass;
  /** Commit in which it last changed. */
  readonly version: number;
  /** Commit that added it. */
  readonly addedIn: number;
  readonly removed: boolean;
  /** The session that it belongs to: for all others it is not there. */
  readonly owner?: Session | undefined;
  /** A property's value, stored or derived; undefined when unset or unknown. */
  value(property: string): unknown;
  /** Commit in which the property last changed; that of its youngest source for a derived one. 0 when never set. */
  propertyVersion(property: string): number;
}
