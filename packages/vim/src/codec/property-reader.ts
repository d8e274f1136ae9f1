import type { Authorizer } from '../runtime/authorizer.ts';
import { noPermission } from '../runtime/dispatcher.ts';
import { fault } from '../runtime/fault.ts';
import type { ManagedObject } from '../runtime/managed-object.ts';
import { anonymousPrivilege } from '../runtime/privileges.ts';
import type { Registry } from '../runtime/registry.ts';
import type { Session } from '../runtime/session.ts';
import type { TypeRef } from '../schema/schema.ts';
import type { ManagedObjectReference } from '../schema/values.ts';

export interface PropertyReaderOptions {
  readonly registry: Registry;
  readonly authorizer: Authorizer;
}

/** Reads one property of one object, as SOAP's Fetch and JSON's GET do. */
export class PropertyReader {
  readonly #registry: Registry;
  readonly #authorizer: Authorizer;

  constructor({ registry, authorizer }: PropertyReaderOptions) {
    this.#registry = registry;
    this.#authorizer = authorizer;
  }

  /** The value and its declared type. Throws ManagedObjectNotFound, InvalidProperty, NotAuthenticated, NoPermission. */
  read(ref: ManagedObjectReference, name: string, session: Session | undefined): { type: TypeRef; value: unknown } {
    const found = this.#registry.get(ref);
    // What belongs to another session is not there for this one.
    const self = found?.owner === undefined || found.owner === session ? found : undefined;
    const property = self?.managedType.property(name);
    const privilege = property?.privilege ?? 'System.Read';
    if (privilege !== anonymousPrivilege && (session === undefined || session.ended)) {
      throw fault('NotAuthenticated', { object: ref, privilegeId: privilege }, 'The session is not authenticated.');
    }
    if (self === undefined) {
      throw fault('ManagedObjectNotFound', { obj: ref }, `The object '${ref.type}:${ref.value}' does not exist.`);
    }
    if (property === undefined) throw fault('InvalidProperty', { name }, `${self.ref.type} has no property ${name}.`);
    const own = self.owner !== undefined;
    if (privilege !== anonymousPrivilege && !own && !this.#authorizer.holds(session as Session, self.ref, privilege)) {
      throw noPermission(self.ref, privilege);
    }
    return { type: property.type, value: valueFor(self, name, session) };
  }
}

function valueFor(self: ManagedObject, name: string, session: Session | undefined): unknown {
  type Reader = (self: ManagedObject, session: Session | undefined) => unknown;
  const perSession = self.class.perSession as Readonly<Record<string, Reader>> | undefined;
  const read = perSession !== undefined && Object.hasOwn(perSession, name) ? perSession[name] : undefined;
  return read === undefined ? self.value(name) : read(self, session);
}
