import type { PropertyChange } from '../generated/types.ts';
import type { Schema, TypeRef } from '../schema/schema.ts';
import type { AnyValues } from './any-value.ts';
import { elementKey, isKeyed } from './element-key.ts';
import { keyedPath } from './property-path.ts';

/** More changes than these within one property are sent as the whole property. */
const mostChanges = 64;
const deepest = 16;

/** Says what changed within a property, by nested paths and keys of arrays. */
export class PartialUpdates {
  readonly #schema: Schema;
  readonly #values: AnyValues;

  constructor(schema: Schema, values: AnyValues) {
    this.#schema = schema;
    this.#values = values;
  }

  /** The changes that make `after` of `before`; undefined where only the whole says it. Both are set. */
  changes(path: string, type: TypeRef, values: { before: unknown; after: unknown }): PropertyChange[] | undefined {
    const changes: PropertyChange[] = [];
    const { before, after } = values;
    return this.#compare(path, type, before, after, changes, 0) && changes.length <= mostChanges ? changes : undefined;
  }

  /** Answers false when the value must be sent whole. */
  #compare(
    path: string,
    type: TypeRef,
    before: unknown,
    after: unknown,
    changes: PropertyChange[],
    depth: number,
  ): boolean {
    if (before === after) return true;
    if (depth > deepest || changes.length > mostChanges) return false;
    if (type.array) return this.#compareArrays(path, type, before, after, changes, depth);
    if (!isObject(before) || !isObject(after)) return false;
    const name = (after._typeName as string | undefined) ?? type.name;
    if (((before._typeName as string | undefined) ?? type.name) !== name) return false;
    const properties = this.#schema.data(name)?.properties;
    if (properties === undefined || name === 'ManagedObjectReference') return false;
    for (const property of properties) {
      const was = before[property.name] ?? undefined;
      const is = after[property.name] ?? undefined;
      if (was === is) continue;
      const nested = `${path}.${property.name}`;
      if (is === undefined) {
        changes.push({ name: nested, op: 'assign' });
        continue;
      }
      const known = changes.length;
      if (was !== undefined && this.#compare(nested, property.type, was, is, changes, depth + 1)) continue;
      changes.length = known;
      changes.push({ name: nested, op: 'assign', val: this.#values.of(is, property.type) });
    }
    return true;
  }

  #compareArrays(
    path: string,
    type: TypeRef,
    before: unknown,
    after: unknown,
    changes: PropertyChange[],
    depth: number,
  ): boolean {
    if (!Array.isArray(before) || !Array.isArray(after) || !isKeyed(this.#schema, type.name)) return false;
    const old = byKey(before);
    const now = byKey(after);
    if (old === undefined || now === undefined) return false;
    // What stays must be in the same order, and what is new at the end: else only the whole says the order.
    const expected = [...old.keys()].filter((key) => now.has(key));
    let position = 0;
    for (const key of now.keys()) {
      if (old.has(key) ? expected[position] !== key : position < expected.length) return false;
      position += 1;
    }
    for (const key of old.keys()) if (!now.has(key)) changes.push({ name: keyedPath(path, key), op: 'remove' });
    const element = this.#schema.typeRef(type.name);
    for (const [key, is] of now) {
      const nested = keyedPath(path, key);
      const was = old.get(key);
      if (was === undefined) {
        changes.push({ name: nested, op: 'add', val: this.#values.of(is, element) });
        continue;
      }
      const known = changes.length;
      if (this.#compare(nested, element, was, is, changes, depth + 1)) continue;
      changes.length = known;
      changes.push({ name: nested, op: 'assign', val: this.#values.of(is, element) });
    }
    return true;
  }
}

/** The elements by key; undefined where some has none, or two have the same. */
function byKey(array: readonly unknown[]): Map<string | number, unknown> | undefined {
  const found = new Map<string | number, unknown>();
  for (const element of array) {
    const key = elementKey(element);
    if (key === undefined || found.has(key)) return undefined;
    found.set(key, element);
  }
  return found;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
