import { fault } from '@hypostyle/vim';
import { type EntityDocument, referenceOf } from '../inventory/entity-document.ts';
import { entityName } from '../inventory/entity-name.ts';
import type { InventoryEdit } from '../inventory/inventory.ts';
import { requireFreeName } from '../inventory/name-scope.ts';
import type { PostEvent } from './acting.ts';

/** ManagedEntity.Rename_Task of what the center alone has. Throws InvalidName, DuplicateName, NotSupported. */
export function rename(
  edit: InventoryEdit,
  { value, newName, post }: { readonly value: string; readonly newName: string; readonly post: PostEvent },
): void {
  const before = edit.find(value);
  if (before === undefined) throw new Error(`${value} is gone`);
  checkRenamable(edit, before);
  const name = entityName(newName);
  const after = { ...before, name };
  requireFreeName(edit, after);
  if (name === before.name) return;
  edit.put(after);
  if (before.type !== 'Datacenter') return;
  const members = { oldName: before.name, newName: name };
  edit.show((draft) => post(draft, { type: 'DatacenterRenamedEvent', entity: referenceOf(before), members }));
}

function checkRenamable(edit: InventoryEdit, document: EntityDocument): void {
  const fixed = document.type === 'Folder' && document.fixed === true;
  const root = document.type === 'ResourcePool' && edit.find(document.parent ?? '')?.type.endsWith('ComputeResource');
  // A host alone has the name that it was added by.
  if (fixed || root || document.type === 'ComputeResource')
    throw fault('NotSupported', {}, `'${document.name}' keeps its name.`);
}
