import type { ManagedObjectReference } from '../schema/values.ts';
import type { Session } from './session.ts';

/** Decides who may do what; implemented by AuthorizationManager, over roles and permissions. */
export interface Authorizer {
  /** True when the session holds `privilege` on the object; services and tasks count as the root folder. */
  holds(session: Session, object: ManagedObjectReference, privilege: string): boolean;
}
