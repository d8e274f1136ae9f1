import type { ManagedObjectReference } from '../schema/values.ts';
import type { Session } from './session.ts';

/** Tells whose rights a change may touch. */
export type RightsListener = (concerns: (session: Session) => boolean) => void;

/** Decides who may do what; implemented by AuthorizationManager, over roles and permissions. */
export interface Authorizer {
  /** True when the session holds `privilege` on the object; services and tasks count as the root folder. */
  holds(session: Session, object: ManagedObjectReference, privilege: string): boolean;
  /** Runs `listener` after every change of roles, permissions and groups. Rights never change where it is missing. */
  onChange?(listener: RightsListener): () => void;
}
