import {
  type Authorizer,
  type Call,
  type ManagedObjectReference,
  noPermission,
  type Registry,
  type Session,
} from '@hypostyle/vim';
import { parseDatastorePath } from '../files/datastore-path.ts';

/** What a check of privileges on arguments needs of an endpoint. */
export interface PrivilegeScope {
  readonly registry: Registry;
  readonly authorizer: Authorizer;
  /** The datastore of that name, seen from an object; throws InvalidDatastore when there is none. */
  datastore(name: string, near: ManagedObjectReference): ManagedObjectReference;
  /** The network of that name, seen from an object; undefined when there is none. */
  network(name: string, near: ManagedObjectReference): ManagedObjectReference | undefined;
}

/** Whoever asks: a call, or a session by itself. */
export type Caller = Pick<Call, 'session'> | { readonly session: Session | undefined };

/** Throws NoPermission unless the caller holds the privilege on the object: for needs that depend on the arguments. */
export function requirePrivilege(
  { authorizer }: Pick<PrivilegeScope, 'authorizer'>,
  { session }: Caller,
  object: ManagedObjectReference,
  privilege: string,
): void {
  if (session === undefined || !authorizer.holds(session, object, privilege)) throw noPermission(object, privilege);
}

/** Throws NoPermission unless the caller holds the privilege on the datastore of every `[name] path`. */
export function requireForFiles(
  scope: PrivilegeScope,
  caller: Caller,
  near: ManagedObjectReference,
  { privilege, paths }: { readonly privilege: string; readonly paths: readonly string[] },
): void {
  for (const path of paths) requirePrivilege(scope, caller, datastoreOf(scope, path, near), privilege);
}

/** The datastore of `[name] path`. Throws InvalidDatastorePath and InvalidDatastore. */
export function datastoreOf(scope: PrivilegeScope, path: string, near: ManagedObjectReference): ManagedObjectReference {
  return scope.datastore(parseDatastorePath(path).datastore, near);
}
