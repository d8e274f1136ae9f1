import type { ManagedObjectReference } from '../schema/values.ts';

/** References by value, each once, in order. */
export type ReferenceSet = ReadonlyMap<string, ManagedObjectReference>;

export interface ReferenceDifference {
  readonly added: readonly ManagedObjectReference[];
  readonly removed: readonly ManagedObjectReference[];
}

export const noReferences: ReferenceSet = new Map();

/** The values of links as sets. One array is one set, and two sets have one difference, for all who follow the link. */
export class ReferenceSets {
  readonly #sets = new WeakMap<object, ReferenceSet>();
  /** The older set is held weakly: else each would hold the one before it, back to the first. */
  readonly #differences = new WeakMap<
    ReferenceSet,
    { before: WeakRef<ReferenceSet>; difference: ReferenceDifference }
  >();

  /** The references in a link's value: one, an array of them, or none. */
  of(value: unknown): ReferenceSet {
    if (typeof value !== 'object' || value === null) return noReferences;
    let set = this.#sets.get(value);
    if (set === undefined) {
      const references = new Map<string, ManagedObjectReference>();
      for (const item of Array.isArray(value) ? value : [value]) {
        if (isReference(item)) references.set(item.value, item);
      }
      set = references;
      this.#sets.set(value, set);
    }
    return set;
  }

  /** What `after` has more and less than `before`. */
  difference(before: ReferenceSet, after: ReferenceSet): ReferenceDifference {
    const known = this.#differences.get(after);
    if (known?.before.deref() === before) return known.difference;
    const difference = { added: missingFrom(before, after), removed: missingFrom(after, before) };
    this.#differences.set(after, { before: new WeakRef(before), difference });
    return difference;
  }
}

function missingFrom(set: ReferenceSet, other: ReferenceSet): ManagedObjectReference[] {
  const found: ManagedObjectReference[] = [];
  for (const [value, reference] of other) if (!set.has(value)) found.push(reference);
  return found;
}

function isReference(value: unknown): value is ManagedObjectReference {
  if (typeof value !== 'object' || value === null) return false;
  const { type, value: id } = value as { type?: unknown; value?: unknown };
  return typeof type === 'string' && typeof id === 'string';
}
