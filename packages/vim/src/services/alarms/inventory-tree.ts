import type { ManagedObject } from '../../runtime/managed-object.ts';
import type { ManagedObjectReference } from '../../schema/values.ts';

interface Place {
  readonly ref: ManagedObjectReference;
  parents: readonly string[];
  /** Reference values of what lies in it. */
  children: Set<string> | undefined;
}

/** Longest way up that is followed: a guard against a loop of parents. */
const deepest = 256;

/** Where every entity lies, kept while it changes: a machine lies in its folder, its pool or vApp, and on its host. */
export class InventoryTree {
  readonly #places = new Map<string, Place>();

  /** Takes over where the object lies now; true when that is new. */
  update(object: ManagedObject): boolean {
    const { value } = object.ref;
    const parents = parentsOf(object);
    const place = this.#places.get(value);
    if (place === undefined) {
      this.#places.set(value, { ref: object.ref, parents, children: this.#orphans.get(value) });
      this.#orphans.delete(value);
    } else {
      if (sameValues(place.parents, parents)) return false;
      for (const parent of place.parents) this.#children(parent)?.delete(value);
      place.parents = parents;
    }
    for (const parent of parents) this.#addChild(parent, value);
    return true;
  }

  remove(value: string): void {
    const place = this.#places.get(value);
    if (place === undefined) return;
    for (const parent of place.parents) this.#children(parent)?.delete(value);
    this.#places.delete(value);
    if (place.children !== undefined && place.children.size > 0) this.#orphans.set(value, place.children);
  }

  ref(value: string): ManagedObjectReference | undefined {
    return this.#places.get(value)?.ref;
  }

  values(): IterableIterator<string> {
    return this.#places.keys();
  }

  /** The entity, then everything above it, nearest first. */
  upwards(value: string): string[] {
    const found = [value];
    for (let at = 0; at < found.length && at < deepest; at += 1) {
      for (const parent of this.#places.get(found[at] as string)?.parents ?? []) {
        if (!found.includes(parent)) found.push(parent);
      }
    }
    return found;
  }

  /** The entity, then everything below it. */
  downwards(value: string): Set<string> {
    const found = new Set([value]);
    // A set goes on with what is added while it is walked.
    for (const at of found) for (const child of this.#places.get(at)?.children ?? []) found.add(child);
    return found;
  }

  /** Children of what is not there, or not there yet. */
  readonly #orphans = new Map<string, Set<string>>();

  #children(parent: string): Set<string> | undefined {
    return this.#places.get(parent)?.children ?? this.#orphans.get(parent);
  }

  #addChild(parent: string, value: string): void {
    const known = this.#children(parent);
    if (known !== undefined) known.add(value);
    else {
      const place = this.#places.get(parent);
      if (place === undefined) this.#orphans.set(parent, new Set([value]));
      else place.children = new Set([value]);
    }
  }
}

/** Properties that say where an entity lies. */
export const placeProperties: readonly string[] = ['parent', 'parentVApp', 'resourcePool', 'runtime'];

function parentsOf(object: ManagedObject): string[] {
  const parents: string[] = [];
  const add = (ref: unknown) => {
    const value = (ref as ManagedObjectReference | undefined)?.value;
    if (value !== undefined && !parents.includes(value)) parents.push(value);
  };
  add(object.value('parent'));
  if (object.ref.type === 'VirtualMachine') {
    add(object.value('parentVApp'));
    add(object.value('resourcePool'));
    add((object.value('runtime') as { readonly host?: unknown } | undefined)?.host);
  }
  return parents;
}

function sameValues(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((value, index) => value === other[index]);
}
