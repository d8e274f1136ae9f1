import type {
  DynamicProperty,
  MissingProperty,
  ObjectContent,
  ObjectUpdate,
  PropertyChange,
} from '../generated/types.ts';
import type { ManagedObject } from '../runtime/managed-object.ts';
import { anonymousPrivilege } from '../runtime/privileges.ts';
import type { Session } from '../runtime/session.ts';
import type { Schema } from '../schema/schema.ts';
import type { Access } from './access.ts';
import { AnyValues } from './any-value.ts';
import { PartialUpdates } from './partial-update.ts';
import type { PathAccessor, Reading } from './path-accessor.ts';

/** What was last seen of an object, by whichever follower looked. */
interface Observation {
  version: number;
  readonly readings: Reading[];
  /** Commit in which each path's value last changed. */
  readonly changedIn: number[];
  /** Answer for all followers between `after` and `before`. */
  answer: { readonly after: number; readonly before: number; readonly update: ObjectUpdate | undefined } | undefined;
}

/** How a view begins in which something depends on who looks. */
export const personalView = 'personal ';

const nothingMissing: readonly MissingProperty[] = [];

/** The property paths that are read of the objects of one type: shared by all who ask for the same ones. */
export class PropertySet {
  readonly paths: readonly PathAccessor[];
  readonly #privileges: readonly string[];
  readonly #values: AnyValues;
  readonly #partial: PartialUpdates;
  readonly #schema: Schema;
  readonly #observations = new WeakMap<ManagedObject, Observation>();
  readonly #parts = new Map<string, PropertySet>();

  constructor(schema: Schema, paths: readonly PathAccessor[]) {
    this.#schema = schema;
    this.#values = new AnyValues(schema);
    this.#partial = new PartialUpdates(schema, this.#values);
    this.paths = paths;
    this.#privileges = [...new Set(paths.map((path) => path.privilege))];
  }

  /** All that may be read of the object now. */
  content(object: ManagedObject, access: Access): ObjectContent {
    const readable = this.#readableBy(object, access);
    const propSet: DynamicProperty[] = [];
    for (const path of readable.paths) {
      const { value, type } = path.read(object, access.session);
      if (value !== undefined) propSet.push({ name: path.path, val: this.#values.of(value, type) });
    }
    const missingSet = readable === this ? nothingMissing : this.#missing(object, access, 0);
    return {
      obj: object.ref,
      ...(propSet.length > 0 ? { propSet } : {}),
      ...(missingSet.length > 0 ? { missingSet } : {}),
    };
  }

  /** True when there is something here that needs no sign-in. */
  get isOpen(): boolean {
    return this.#privileges.includes(anonymousPrivilege);
  }

  /**
   * What changed after the commit `from`, undefined when nothing did; everything that is set when `from` is 0.
   *
   * Equal questions get the same object as answer, so that its encoding can be shared.
   */
  update(object: ManagedObject, from: number, access: Access): ObjectUpdate | undefined {
    const readable = this.#readableBy(object, access);
    const update = readable.#update(object, from, access.session);
    if (readable === this) return update;
    const missingSet = this.#missing(object, access, from);
    return missingSet.length === 0 ? update : { ...(update ?? { kind: 'modify', obj: object.ref }), missingSet };
  }

  /** What is kept from a reader, as a text that is the same when it is the same. */
  view(object: ManagedObject, access: Access): string {
    const denied = this.#privileges.filter((privilege) => !access.mayRead(object, privilege)).join();
    const personal = object.class.perSession !== undefined && this.paths.some((path) => path.isPersonal(object));
    return personal ? `${personalView}${denied}` : denied;
  }

  /** All readings now, for `partialUpdate` to compare later ones with. */
  readings(object: ManagedObject, access: Access): readonly Reading[] {
    return this.paths.map((path) =>
      access.mayRead(object, path.privilege)
        ? path.read(object, access.session)
        : { value: undefined, type: path.root.type, depth: path.steps.length },
    );
  }

  /** What makes `after` of `before`, said in the smallest parts; undefined when they are the same. */
  partialUpdate(
    object: ManagedObject,
    { before, after }: { readonly before: readonly Reading[]; readonly after: readonly Reading[] },
  ): ObjectUpdate | undefined {
    const changeSet: PropertyChange[] = [];
    for (let i = 0; i < this.paths.length; i += 1) {
      const path = this.paths[i] as PathAccessor;
      const was = before[i] as Reading;
      const is = after[i] as Reading;
      if (was.value === is.value) continue;
      const parts =
        was.value === undefined || is.value === undefined || was.type !== is.type
          ? undefined
          : this.#partial.changes(path.path, is.type, { before: was.value, after: is.value });
      if (parts === undefined) changeSet.push(this.#assignment(path, is));
      else changeSet.push(...parts);
    }
    return objectUpdate(object, 1, changeSet);
  }

  #assignment(path: PathAccessor, { value, type, depth }: Reading): PropertyChange {
    if (value !== undefined) return { name: path.path, op: 'assign', val: this.#values.of(value, type) };
    // What was there went, by itself or with the object or array that it was in.
    if (depth < path.steps.length) return { name: path.path, op: 'indirectRemove' };
    const last = path.steps.at(-1);
    return { name: path.path, op: last !== undefined && 'key' in last ? 'remove' : 'assign' };
  }

  #update(object: ManagedObject, from: number, session: Session | undefined): ObjectUpdate | undefined {
    const personal = object.class.perSession !== undefined && this.paths.some((path) => path.isPersonal(object));
    if (personal) return this.#personalUpdate(object, from, session);
    const seen = this.#observe(object);
    const { answer } = seen;
    if (answer !== undefined && from >= answer.after && from < answer.before) return answer.update;
    // An answer to 0 leaves out what is unset, and another must not.
    let after = from === 0 ? 0 : 1;
    let before = from === 0 ? 1 : Number.POSITIVE_INFINITY;
    const changeSet: PropertyChange[] = [];
    for (let i = 0; i < this.paths.length; i += 1) {
      const version = seen.changedIn[i] as number;
      if (version <= from) {
        after = Math.max(after, version);
        continue;
      }
      before = Math.min(before, version);
      this.#append(changeSet, i, seen.readings[i] as Reading, from);
    }
    const update = objectUpdate(object, from, changeSet);
    seen.answer = { after, before, update };
    return update;
  }

  #personalUpdate(object: ManagedObject, from: number, session: Session | undefined): ObjectUpdate | undefined {
    const changeSet: PropertyChange[] = [];
    for (let i = 0; i < this.paths.length; i += 1) {
      const path = this.paths[i] as PathAccessor;
      if (from > 0 && object.propertyVersion(path.root.name) <= from) continue;
      this.#append(changeSet, i, path.read(object, session), from);
    }
    return objectUpdate(object, from, changeSet);
  }

  #append(changeSet: PropertyChange[], index: number, reading: Reading, from: number): void {
    if (from === 0 && reading.value === undefined) return;
    changeSet.push(this.#assignment(this.paths[index] as PathAccessor, reading));
  }

  #observe(object: ManagedObject): Observation {
    let seen = this.#observations.get(object);
    if (seen === undefined) {
      const readings = this.paths.map((path) => path.read(object));
      const changedIn = this.paths.map((path) => Math.max(object.propertyVersion(path.root.name), 1));
      seen = { version: object.version, readings, changedIn, answer: undefined };
      this.#observations.set(object, seen);
      return seen;
    }
    if (seen.version === object.version) return seen;
    for (let i = 0; i < this.paths.length; i += 1) {
      const path = this.paths[i] as PathAccessor;
      const version = object.propertyVersion(path.root.name);
      if (version <= seen.version) continue;
      const reading = path.read(object);
      if (reading.value === seen.readings[i]?.value && path.steps.length > 0) continue;
      seen.readings[i] = reading;
      seen.changedIn[i] = version;
      seen.answer = undefined;
    }
    seen.version = object.version;
    return seen;
  }

  #readableBy(object: ManagedObject, access: Access): PropertySet {
    let denied: string[] | undefined;
    for (const privilege of this.#privileges) {
      if (!access.mayRead(object, privilege)) {
        denied ??= [];
        denied.push(privilege);
      }
    }
    if (denied === undefined) return this;
    const key = denied.join();
    let part = this.#parts.get(key);
    if (part === undefined) {
      const left = this.paths.filter((path) => !denied.includes(path.privilege));
      part = new PropertySet(this.#schema, left);
      this.#parts.set(key, part);
    }
    return part;
  }

  #missing(object: ManagedObject, access: Access, from: number): readonly MissingProperty[] {
    return this.paths
      .filter((path) => !access.mayRead(object, path.privilege))
      .filter((path) => from === 0 || object.propertyVersion(path.root.name) > from)
      .map((path) => access.missing(object, path.path, path.privilege));
  }
}

function objectUpdate(object: ManagedObject, from: number, changeSet: PropertyChange[]): ObjectUpdate | undefined {
  if (changeSet.length > 0) return { kind: from === 0 ? 'enter' : 'modify', obj: object.ref, changeSet };
  return from === 0 ? { kind: 'enter', obj: object.ref } : undefined;
}
