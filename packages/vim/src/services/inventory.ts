import type { ManagedObject } from '../runtime/managed-object.ts';
import type { Draft, Registry } from '../runtime/registry.ts';
import type { ManagedObjectReference } from '../schema/values.ts';

/** Reads a property of an object that may be gone. */
export type PropertyReader = (ref: ManagedObjectReference, property: string) => unknown;

/** Longest way up that is followed: a guard against a loop of parents. */
const deepest = 256;

/** Reads what is committed; or, within a commit, what will be. An object that the commit removes is read as it was. */
export function inventoryReader(registry: Registry, draft?: Draft): PropertyReader {
  return (ref, property) =>
    draft?.has(ref)
      ? draft.get(ref as ManagedObjectReference<never>, property as never)
      : registry.get(ref)?.value(property);
}

/** The object itself, then every object above it, nearest first. A virtual machine lies in a folder and in a pool. */
export function withAncestors(read: PropertyReader, ref: ManagedObjectReference): ManagedObjectReference[] {
  const found = new Map<string, ManagedObjectReference>();
  let level = [ref];
  for (let depth = 0; level.length > 0 && depth < deepest; depth += 1) {
    const above: ManagedObjectReference[] = [];
    for (const at of level) {
      if (found.has(at.value)) continue;
      found.set(at.value, at);
      above.push(...parentsOf(read, at));
    }
    level = above;
  }
  return [...found.values()];
}

/** Where the object takes permissions from: its parent, and a virtual machine's vApp and pool. */
export function parentsOf(read: PropertyReader, ref: ManagedObjectReference): ManagedObjectReference[] {
  const parents: ManagedObjectReference[] = [];
  for (const name of ref.type === 'VirtualMachine' ? placesOfMachine : places) {
    const at = read(ref, name) as ManagedObjectReference | undefined;
    if (at !== undefined) parents.push(at);
  }
  return parents;
}

const places = ['parent'];
const placesOfMachine = ['parent', 'parentVApp', 'resourcePool'];

export function isEntity(registry: Registry, ref: ManagedObjectReference): boolean {
  return registry.schema.isSubtype(ref.type, 'ManagedEntity');
}

export function entityName(object: ManagedObject | undefined): string {
  const name = object?.value('name');
  return typeof name === 'string' ? name : (object?.ref.value ?? '');
}
