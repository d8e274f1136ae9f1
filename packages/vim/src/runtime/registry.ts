import type { Schema } from '../schema/schema.ts';
import type { ManagedObjectReference } from '../schema/values.ts';
import type { ManagedObject, ManagedObjectClass, ManagedTypeName, Properties } from './managed-object.ts';
import type { Session } from './session.ts';
import { StoredObject } from './stored-object.ts';

/** What one operation changes. It is seen by nobody until it is whole. */
export interface Draft {
  /** Adds an object; its reference's value must be free. With an owner it is there for that session alone. */
  add<T extends ManagedTypeName>(
    objectClass: ManagedObjectClass<T>,
    value: string,
    properties: Partial<Properties<T>>,
    options?: { readonly owner?: Session },
  ): ManagedObjectReference<T>;
  /** Sets properties; an undefined value unsets. Equal references are no change. */
  set<T extends ManagedTypeName>(ref: ManagedObjectReference<T>, properties: Partial<Properties<T>>): void;
  /** The value as this draft has it. */
  get<T extends ManagedTypeName, P extends keyof Properties<T> & string>(
    ref: ManagedObjectReference<T>,
    property: P,
  ): Properties<T>[P] | undefined;
  /** Says that a derived property's outside sources changed. */
  touch(ref: ManagedObjectReference, property: string): void;
  remove(ref: ManagedObjectReference): void;
  has(ref: ManagedObjectReference): boolean;
  /** Runs when the commit has become true, before its followers wake; never when it is thrown away. */
  onApplied(run: () => void): void;
}

/** A place in the order of changes. Removed objects stay for it until it has passed them. */
export interface ChangeCursor {
  readonly version: number;
  /** Passes everything up to `version`. */
  advance(version: number): void;
  close(): void;
}

export type CommitListener = (version: number) => void;

/**
 * Every managed object by reference, changed only by `commit`.
 *
 * Objects are kept in the order of their last change, so that a follower of version v reads only what changed since.
 * Removed objects stay in that order until every cursor has passed them.
 */
export class Registry {
  readonly schema: Schema;
  #version = 1;
  readonly #objects = new Map<string, StoredObject>();
  readonly #listeners = new Set<CommitListener>();
  /** Removed objects that are still in the list, in order of removal. */
  readonly #removed: StoredObject[] = [];
  readonly #cursors = new Set<{ version: number }>();
  /** Sentinel of the list: `next` is the oldest change, `previous` the youngest. */
  readonly #list: StoredObject;
  #draft: RegistryDraft | undefined;

  constructor(schema: Schema) {
    this.schema = schema;
    const type = schema.managed('ManagedObject');
    if (type === undefined) throw new Error('the schema has no ManagedObject');
    this.#list = new StoredObject(
      { type: 'ManagedObject', value: '' },
      type,
      { type: 'ManagedEntity', methods: {} },
      0,
    );
    this.#list.next = this.#list;
    this.#list.previous = this.#list;
  }

  /** Version of the last commit. */
  get version(): number {
    return this.#version;
  }

  get size(): number {
    return this.#objects.size;
  }

  /** The object, if it is there now and of the reference's type. */
  get(ref: ManagedObjectReference): ManagedObject | undefined {
    const object = this.#objects.get(ref.value);
    if (object === undefined || object.ref.type === ref.type) return object;
    // Clients name a base type where they know no better.
    return this.schema.isSubtype(object.ref.type, ref.type) ? object : undefined;
  }

  /** The object whose reference has that value, of whatever type. */
  byValue(value: string): ManagedObject | undefined {
    return this.#objects.get(value);
  }

  /** A typed property of an object that must be there. */
  read<T extends ManagedTypeName, P extends keyof Properties<T> & string>(
    ref: ManagedObjectReference<T>,
    property: P,
  ): Properties<T>[P] | undefined {
    return this.get(ref)?.value(property) as Properties<T>[P] | undefined;
  }

  *all(type?: ManagedTypeName): IterableIterator<ManagedObject> {
    for (const object of this.#objects.values()) {
      if (type === undefined || this.schema.isSubtype(object.ref.type, type)) yield object;
    }
  }

  /** Objects changed or removed after `version`, youngest change first. */
  *changedSince(version: number): IterableIterator<ManagedObject> {
    for (let at = this.#list.previous as StoredObject; at !== this.#list && at.version > version; ) {
      const previous = at.previous as StoredObject;
      yield at;
      at = previous;
    }
  }

  /** Applies `change` whole: one version, one waking of followers. Throws what `change` throws, with nothing changed. */
  commit<R>(change: (draft: Draft) => R): R {
    if (this.#draft !== undefined) throw new Error('a commit inside a commit: pass the draft on instead');
    const draft = new RegistryDraft(this.schema, this.#objects);
    this.#draft = draft;
    let result: R;
    try {
      result = change(draft);
    } finally {
      this.#draft = undefined;
    }
    if (result instanceof Promise) throw new Error('a commit cannot wait: do the work first, then commit');
    const changed = draft.apply(this.#version + 1);
    for (const run of draft.applied) run();
    if (changed.length > 0) {
      this.#version += 1;
      for (const object of changed) {
        this.#moveToTail(object);
        if (object.removed) this.#removed.push(object);
      }
      for (const listener of this.#listeners) listener(this.#version);
    }
    return result;
  }

  onCommit(listener: CommitListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Follows changes from `version` on, the present unless told. */
  follow(version = this.#version): ChangeCursor {
    const place = { version };
    this.#cursors.add(place);
    const passed = () => {
      let oldest = this.#version;
      for (const cursor of this.#cursors) oldest = Math.min(oldest, cursor.version);
      this.#forget(oldest);
    };
    return {
      get version() {
        return place.version;
      },
      advance: (to) => {
        place.version = to;
        passed();
      },
      close: () => {
        if (this.#cursors.delete(place)) passed();
      },
    };
  }

  /** Lets go of removed objects that no follower of `version` or later can still ask for. */
  #forget(version: number): void {
    let passed = 0;
    for (const object of this.#removed) {
      if (object.version > version) break;
      unlink(object);
      passed += 1;
    }
    if (passed > 0) this.#removed.splice(0, passed);
  }

  #moveToTail(object: StoredObject): void {
    if (object.next !== undefined) unlink(object);
    const last = this.#list.previous as StoredObject;
    object.previous = last;
    object.next = this.#list;
    last.next = object;
    this.#list.previous = object;
  }
}

function unlink(object: StoredObject): void {
  if (object.previous !== undefined) object.previous.next = object.next;
  if (object.next !== undefined) object.next.previous = object.previous;
  object.previous = undefined;
  object.next = undefined;
}

type PropertyBag = Record<string, unknown>;

interface Addition {
  readonly class: ManagedObjectClass;
  readonly ref: ManagedObjectReference;
  readonly values: PropertyBag;
  readonly owner: Session | undefined;
}

class RegistryDraft implements Draft {
  readonly #schema: Schema;
  readonly #objects: Map<string, StoredObject>;
  readonly #added = new Map<string, Addition>();
  readonly #changes = new Map<StoredObject, PropertyBag>();
  readonly #touched = new Map<StoredObject, Set<string>>();
  readonly #removed = new Set<StoredObject>();
  readonly applied: (() => void)[] = [];

  constructor(schema: Schema, objects: Map<string, StoredObject>) {
    this.#schema = schema;
    this.#objects = objects;
  }

  add<T extends ManagedTypeName>(
    objectClass: ManagedObjectClass<T>,
    value: string,
    properties: Partial<Properties<T>>,
    { owner }: { readonly owner?: Session } = {},
  ): ManagedObjectReference<T> {
    if (this.#present(value)) throw new Error(`the reference ${value} is taken`);
    const ref = { _typeName: 'ManagedObjectReference', type: objectClass.type, value };
    this.#added.set(value, {
      class: objectClass as unknown as ManagedObjectClass,
      ref,
      values: { ...(properties as PropertyBag) },
      owner,
    });
    return ref;
  }

  set<T extends ManagedTypeName>(ref: ManagedObjectReference<T>, properties: Partial<Properties<T>>): void {
    const added = this.#added.get(ref.value);
    if (added !== undefined) {
      Object.assign(added.values, properties);
      return;
    }
    const object = this.#existing(ref);
    let bag = this.#changes.get(object);
    if (bag === undefined) {
      bag = {};
      this.#changes.set(object, bag);
    }
    Object.assign(bag, properties);
  }

  get<T extends ManagedTypeName, P extends keyof Properties<T> & string>(
    ref: ManagedObjectReference<T>,
    property: P,
  ): Properties<T>[P] | undefined {
    const added = this.#added.get(ref.value);
    if (added !== undefined) {
      const derived = added.class.derived !== undefined && property in added.class.derived;
      const value = derived ? this.#made(added, 0).value(property) : added.values[property];
      return value as Properties<T>[P] | undefined;
    }
    const object = this.#existing(ref);
    const bag = this.#changes.get(object);
    return (bag !== undefined && property in bag ? bag[property] : object.value(property)) as
      | Properties<T>[P]
      | undefined;
  }

  touch(ref: ManagedObjectReference, property: string): void {
    if (this.#added.has(ref.value)) return;
    const object = this.#existing(ref);
    const set = this.#touched.get(object) ?? new Set();
    set.add(property);
    this.#touched.set(object, set);
  }

  remove(ref: ManagedObjectReference): void {
    if (this.#added.delete(ref.value)) return;
    this.#removed.add(this.#existing(ref));
  }

  has(ref: ManagedObjectReference): boolean {
    return this.#present(ref.value);
  }

  onApplied(run: () => void): void {
    this.applied.push(run);
  }

  /** Makes the draft true; answers what changed. */
  apply(version: number): StoredObject[] {
    const changed = new Set<StoredObject>();
    for (const object of this.#removed) {
      this.#objects.delete(object.ref.value);
      object.remove(version);
      changed.add(object);
    }
    for (const [object, values] of this.#changes) {
      if (!this.#removed.has(object) && object.assign(values, version)) changed.add(object);
    }
    for (const [object, properties] of this.#touched) {
      if (this.#removed.has(object)) continue;
      object.touch(properties, version);
      changed.add(object);
    }
    for (const [value, entry] of this.#added) {
      const object = this.#made(entry, version);
      this.#objects.set(value, object);
      changed.add(object);
    }
    return [...changed];
  }

  #made(entry: Addition, version: number): StoredObject {
    const type = this.#schema.managed(entry.ref.type);
    if (type === undefined) throw new Error(`${entry.ref.type} is no managed type`);
    const object = new StoredObject(entry.ref, type, entry.class, version, entry.owner);
    object.assign(entry.values, version);
    return object;
  }

  #present(value: string): boolean {
    if (this.#added.has(value)) return true;
    const object = this.#objects.get(value);
    return object !== undefined && !this.#removed.has(object);
  }

  #existing(ref: ManagedObjectReference): StoredObject {
    const object = this.#objects.get(ref.value);
    if (object === undefined || this.#removed.has(object)) {
      throw new Error(`there is no managed object ${ref.type}:${ref.value}`);
    }
    return object;
  }
}
