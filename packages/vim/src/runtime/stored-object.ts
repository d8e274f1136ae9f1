import type { ManagedType } from '../schema/schema.ts';
import type { ManagedObjectReference } from '../schema/values.ts';
import type { DerivedProperty, ManagedObject, ManagedObjectClass } from './managed-object.ts';
import type { Session } from './session.ts';

/** A managed object in the registry, a link in its list of changes. */
export class StoredObject implements ManagedObject {
  readonly ref: ManagedObjectReference;
  readonly managedType: ManagedType;
  readonly class: ManagedObjectClass;
  readonly addedIn: number;
  readonly owner: Session | undefined;
  version: number;
  removed = false;
  next: StoredObject | undefined;
  previous: StoredObject | undefined;
  readonly #values = new Map<string, unknown>();
  /** When properties changed after the object was added. */
  #versions: Map<string, number> | undefined;
  #derivedAt: Map<string, { version: number; value: unknown }> | undefined;

  constructor(
    ref: ManagedObjectReference,
    managedType: ManagedType,
    objectClass: ManagedObjectClass,
    version: number,
    owner?: Session,
  ) {
    this.ref = ref;
    this.managedType = managedType;
    this.class = objectClass;
    this.addedIn = version;
    this.owner = owner;
    this.version = version;
  }

  value(property: string): unknown {
    const derived = this.#derivedProperty(property);
    if (derived === undefined) return this.#values.get(property);
    const version = this.propertyVersion(property);
    const known = this.#derivedAt?.get(property);
    if (known !== undefined && known.version === version) return known.value;
    const value = derived.compute(this);
    this.#derivedAt ??= new Map();
    this.#derivedAt.set(property, { version, value });
    return value;
  }

  propertyVersion(property: string): number {
    const own = this.#versions?.get(property) ?? (this.#values.has(property) ? this.addedIn : 0);
    const derived = this.#derivedProperty(property);
    if (derived === undefined) return own;
    let version = Math.max(own, this.addedIn);
    for (const source of derived.from) version = Math.max(version, this.propertyVersion(source));
    return version;
  }

  /** Answers whether anything changed. */
  assign(values: Readonly<Record<string, unknown>>, version: number): boolean {
    let changed = false;
    for (const property in values) {
      const value = values[property];
      if (this.#values.get(property) === value && (value !== undefined || !this.#values.has(property))) continue;
      if (value === undefined) this.#values.delete(property);
      else this.#values.set(property, value);
      this.#changed(property, version);
      changed = true;
    }
    if (changed) this.version = version;
    return changed;
  }

  touch(properties: Iterable<string>, version: number): void {
    for (const property of properties) this.#changed(property, version);
    this.version = version;
  }

  remove(version: number): void {
    this.removed = true;
    this.version = version;
  }

  #changed(property: string, version: number): void {
    // Most objects never change: that they have a value says when it came.
    if (version === this.addedIn) return;
    this.#versions ??= new Map();
    this.#versions.set(property, version);
  }

  #derivedProperty(property: string): DerivedProperty | undefined {
    return (this.class.derived as Readonly<Record<string, DerivedProperty>> | undefined)?.[property];
  }
}
