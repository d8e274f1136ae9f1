import { fault } from '@hypostyle/vim';
import { type EntityDocument, isPool, referenceOf } from './entity-document.ts';
import type { InventoryEdit } from './inventory.ts';

/**
 * Throws DuplicateName where the document's name is taken in its place: a folder's children and vApps share their
 * names, so do the pools of a pool and the machines of a vApp; datastores and networks have theirs all over their
 * datacenter.
 */
export function requireFreeName(edit: InventoryEdit, document: EntityDocument): void {
  for (const other of namesakes(edit, document)) {
    if (other.value === document.value || other.name !== document.name) continue;
    throw fault(
      'DuplicateName',
      { name: document.name, object: referenceOf(other) },
      `The name '${document.name}' already exists.`,
    );
  }
}

/** Those whose names a document must not have. */
function namesakes(edit: InventoryEdit, document: EntityDocument): EntityDocument[] {
  const { parent } = document;
  const found: EntityDocument[] = [];
  if (document.type === 'Datastore' || document.type === 'Network') {
    const below = (value: string): EntityDocument[] =>
      edit.children(value).flatMap((child) => (child.type === 'Folder' ? below(child.value) : [child]));
    found.push(...below(topFolder(edit, document)));
  }
  if (document.type === 'VirtualMachine' && parent === undefined)
    found.push(...(document.pool === undefined ? [] : edit.machinesInPool(document.pool)));
  if (parent !== undefined) found.push(...inPlace(edit, parent));
  const folder = isPool(document) ? document.vApp?.folder : undefined;
  if (folder !== undefined) found.push(...inPlace(edit, folder));
  return found;
}

function inPlace(edit: InventoryEdit, place: string): EntityDocument[] {
  return [...edit.children(place), ...edit.vAppsIn(place)];
}

/** The folder right below the datacenter that something lies in. */
function topFolder(edit: InventoryEdit, document: EntityDocument): string {
  let at = document;
  for (;;) {
    const above = at.parent === undefined ? undefined : edit.find(at.parent);
    if (above?.type !== 'Folder') return at.value;
    at = above;
  }
}
