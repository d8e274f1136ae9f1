import type { ManagedObject, ManagedObjectReference } from '@hypostyle/vim';
import type { CenterCore } from '../center-core.ts';
import { type EntityType, referenceOf } from '../inventory/entity-document.ts';

/** Children of those types, for properties that list them. */
export function childrenOf(core: CenterCore, self: ManagedObject, types: readonly EntityType[]) {
  return core.inventory
    .children(self.ref.value)
    .filter((child) => types.includes(child.type))
    .map(referenceOf);
}

/** Everything of a type in a folder and the folders in it. */
export function inFolders(
  core: CenterCore,
  folder: ManagedObjectReference | undefined,
  type: EntityType,
): ManagedObjectReference[] {
  return core.inventory.children(folder?.value ?? '').flatMap((child) => {
    if (child.type === type) return [referenceOf(child)];
    return child.type === 'Folder' ? inFolders(core, referenceOf(child), type) : [];
  });
}

/** Machines that use a datastore or network. */
export function usersOf(core: CenterCore, self: ManagedObject): ManagedObjectReference<'VirtualMachine'>[] {
  return [...core.inventory.uses.members(self.ref.value)].map((value) => ({
    _typeName: 'ManagedObjectReference',
    type: 'VirtualMachine',
    value,
  }));
}
