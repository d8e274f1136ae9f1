import { fault } from '@hypostyle/vim';
import type { CenterCore } from '../center-core.ts';
import {
  type EntityDocument,
  type FolderDocument,
  isCompute,
  isPool,
  type PoolDocument,
  referenceOf,
} from '../inventory/entity-document.ts';
import type { InventoryEdit } from '../inventory/inventory.ts';
import { requireFreeName } from '../inventory/name-scope.ts';
import { moveHostIntoFolder } from '../joining/host-places.ts';

/**
 * Folder.MoveIntoFolder_Task: all of them or none. Throws InvalidFolder for a place that is below what is moved, or
 * for other things, NotSupported for what is not moved at all or not to another datacenter, DuplicateName, and
 * InvalidState for a host of a cluster that is not in maintenance mode.
 */
export function moveIntoFolder(
  core: CenterCore,
  edit: InventoryEdit,
  { folder: folderValue, entities }: { readonly folder: string; readonly entities: readonly string[] },
): void {
  const folder = edit.find(folderValue);
  if (folder?.type !== 'Folder')
    throw fault('ManagedObjectNotFound', { obj: { type: 'Folder', value: folderValue } }, 'The folder is gone.');
  for (const value of entities) {
    const entity = edit.find(value);
    if (entity === undefined)
      throw fault('ManagedObjectNotFound', { obj: { type: 'ManagedEntity', value } }, `There is no ${value} here.`);
    if (entity.type === 'HostSystem' && edit.find(entity.parent ?? '')?.type === 'ClusterComputeResource') {
      checkHolds(entity, folder);
      moveHostIntoFolder(core, edit, entity, folder.value);
      continue;
    }
    const moved = movedTo(edit, withOwner(edit, entity), folder);
    if (moved === undefined) continue;
    requireFreeName(edit, moved);
    edit.put(moved);
  }
}

/** A host alone goes with its compute resource. */
function withOwner(edit: InventoryEdit, entity: EntityDocument): EntityDocument {
  return entity.type === 'HostSystem' ? (edit.find(entity.parent ?? '') ?? entity) : entity;
}

/** The document in its new place; undefined where it is there. */
function movedTo(edit: InventoryEdit, entity: EntityDocument, folder: FolderDocument): EntityDocument | undefined {
  checkMovable(entity);
  checkHolds(entity, folder);
  if (entity.type === 'Folder' && liesIn(edit, folder, entity.value))
    throw invalid(folder, `The folder '${folder.name}' is '${entity.name}' itself, or lies below it.`);
  if (entity.type !== 'Datacenter' && !(entity.type === 'Folder' && entity.childType.includes('Datacenter'))) {
    if (datacenterOf(edit, entity) !== datacenterOf(edit, folder))
      throw fault('NotSupported', {}, `'${entity.name}' cannot go to another datacenter that way.`);
  }
  if (isPool(entity)) return movedVApp(entity, folder);
  if (entity.type === 'VirtualMachine' && entity.parent === undefined)
    throw fault('NotSupported', {}, `'${entity.name}' is part of a vApp; move it to a resource pool first.`);
  return entity.parent === folder.value ? undefined : { ...entity, parent: folder.value };
}

function movedVApp(entity: PoolDocument, folder: FolderDocument): EntityDocument | undefined {
  if (entity.vApp?.folder === undefined)
    throw fault('NotSupported', {}, `'${entity.name}' is part of another vApp; it goes with that.`);
  return entity.vApp.folder === folder.value
    ? undefined
    : { ...entity, vApp: { ...entity.vApp, folder: folder.value } };
}

function checkMovable(entity: EntityDocument): void {
  if ((entity.type === 'Folder' && entity.fixed === true) || entity.type === 'ResourcePool')
    throw fault('NotSupported', {}, `'${entity.name}' stays where it is.`);
}

function checkHolds(entity: EntityDocument, folder: FolderDocument): void {
  const kind = isCompute(entity) || entity.type === 'HostSystem' ? 'ComputeResource' : entity.type;
  const same = entity.type !== 'Folder' || entity.childType.join() === folder.childType.join();
  if (!folder.childType.includes(kind) || !same)
    throw invalid(folder, `The folder '${folder.name}' is not for what '${entity.name}' is.`);
}

function liesIn(edit: InventoryEdit, entity: EntityDocument, above: string): boolean {
  for (let at: EntityDocument | undefined = entity; at !== undefined; ) {
    if (at.value === above) return true;
    at = at.parent === undefined ? undefined : edit.find(at.parent);
  }
  return false;
}

/** Where it is seen: a vApp, and a machine of one, in the datacenter of its compute resource. */
function datacenterOf(edit: InventoryEdit, entity: EntityDocument): string | undefined {
  for (let at: EntityDocument | undefined = entity; at !== undefined; ) {
    if (at.type === 'Datacenter') return at.value;
    const up: string | undefined = at.parent ?? (at.type === 'VirtualMachine' ? at.host : undefined);
    at = up === undefined ? undefined : edit.find(up);
  }
  return undefined;
}

function invalid(folder: FolderDocument, message: string) {
  return fault('InvalidFolder', { target: referenceOf(folder) as never }, message);
}
