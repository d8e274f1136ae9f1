import type { MissingProperty } from '../generated/types.ts';
import type { Authorizer } from '../runtime/authorizer.ts';
import { noPermission } from '../runtime/dispatcher.ts';
import { localizedFault } from '../runtime/fault.ts';
import type { ManagedObject } from '../runtime/managed-object.ts';
import { anonymousPrivilege } from '../runtime/privileges.ts';
import type { Session } from '../runtime/session.ts';
import { notAuthenticated } from './errors.ts';

/** What one reader may see. */
export class Access {
  readonly session: Session | undefined;
  readonly #authorizer: Authorizer;

  constructor(authorizer: Authorizer, session: Session | undefined) {
    this.#authorizer = authorizer;
    this.session = session;
  }

  /** True when the object is there for this reader. */
  sees(object: ManagedObject): boolean {
    return this.mayRead(object, 'System.View');
  }

  /** True when the object is reported, read by `set`: `content` of ServiceInstance is for everybody. */
  reads(object: ManagedObject, set: { readonly isOpen: boolean }): boolean {
    return set.isOpen || this.sees(object);
  }

  mayRead(object: ManagedObject, privilege: string): boolean {
    if (object.owner !== undefined) return object.owner === this.session;
    if (privilege === anonymousPrivilege) return true;
    const { session } = this;
    return session !== undefined && !session.ended && this.#authorizer.holds(session, object.ref, privilege);
  }

  /** The report of a property that may not be read. */
  missing(object: ManagedObject, path: string, privilege: string): MissingProperty {
    const denied =
      this.session === undefined ? notAuthenticated(object.ref, privilege) : noPermission(object.ref, privilege);
    return { path, fault: localizedFault(denied) };
  }
}
