import type { ManagedObject } from '../runtime/managed-object.ts';
import type { Registry } from '../runtime/registry.ts';
import type { ManagedObjectReference } from '../schema/values.ts';

/** Longest way up that is followed: a guard against a loop of parents. */
const deepest = 256;

/** The object itself, then every object above it, nearest first. A virtual machine lies in a folder and in a pool. */
export function withAncestors(registry: Registry, ref: ManagedObjectReference): ManagedObject[] {
  const found = new Map<string, ManagedObject>();
  let level = [ref];
  for (let depth = 0; level.length > 0 && depth < deepest; depth += 1) {
    const above: ManagedObjectReference[] = [];
    for (const at of level) {
      const object = registry.get(at);
      if (object === undefined || found.has(at.value)) continue;
      found.set(at.value, object);
      above.push(...parentsOf(object));
    }
    level = above;
  }
  return [...found.values()];
}

/** Where the object takes permissions from: its parent, and a virtual machine's pool and vApp. */
export function parentsOf(object: ManagedObject): ManagedObjectReference[] {
  const names = object.ref.type === 'VirtualMachine' ? ['parent', 'parentVApp', 'resourcePool'] : ['parent'];
  return names
    .map((name) => object.value(name) as ManagedObjectReference | undefined)
    .filter((ref) => ref !== undefined);
}

export function isEntity(registry: Registry, ref: ManagedObjectReference): boolean {
  return registry.schema.isSubtype(ref.type, 'ManagedEntity');
}

export function entityName(object: ManagedObject | undefined): string {
  const name = object?.value('name');
  return typeof name === 'string' ? name : (object?.ref.value ?? '');
}
