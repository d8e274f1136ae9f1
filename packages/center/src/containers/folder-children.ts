import {
  type ClusterConfigSpec,
  type ClusterConfigSpecEx,
  data,
  fault,
  type ManagedObjectReference,
} from '@hypostyle/vim';
import { type FolderDocument, referenceOf } from '../inventory/entity-document.ts';
import { entityName } from '../inventory/entity-name.ts';
import type { InventoryEdit } from '../inventory/inventory.ts';
import { requireFreeName } from '../inventory/name-scope.ts';
import { newDatacenter } from '../inventory/new-datacenter.ts';
import { plainResources } from '../pools/pool-allocation.ts';
import type { PostEvent } from './acting.ts';
import { clusterConfiguration } from './cluster-configuration.ts';

/** Start of a folder's reference by what it holds, as centers name them. */
const prefixes: readonly (readonly [childType: string, prefix: string])[] = [
  ['VirtualMachine', 'group-v'],
  ['ComputeResource', 'group-h'],
  ['Datastore', 'group-s'],
  ['Network', 'group-n'],
];

/** Folder.CreateFolder: the new one holds what this one holds. */
export function createFolder(
  edit: InventoryEdit,
  { folder, name }: { readonly folder: string; readonly name: string },
): ManagedObjectReference<'Folder'> {
  const parent = folderHolding(edit, folder, 'Folder');
  const prefix = prefixes.find(([type]) => parent.childType.includes(type))?.[1] ?? 'group-d';
  const place = { name: entityName(name), parent: parent.value, childType: parent.childType };
  requireFreeName(edit, { type: 'Folder', value: '', ...place });
  const document: FolderDocument = { type: 'Folder', value: edit.mint(prefix), ...place };
  edit.put(document);
  return referenceOf(document) as ManagedObjectReference<'Folder'>;
}

/** Folder.CreateDatacenter */
export function createDatacenter(
  edit: InventoryEdit,
  { folder, name, post }: { readonly folder: string; readonly name: string; readonly post: PostEvent },
): ManagedObjectReference<'Datacenter'> {
  const parent = folderHolding(edit, folder, 'Datacenter');
  const kept = entityName(name);
  requireFreeName(edit, { type: 'Folder', value: '', name: kept, parent: folder, childType: [] });
  const ref = referenceOf(newDatacenter(edit, kept, folder));
  edit.show((draft) =>
    post(draft, { type: 'DatacenterCreatedEvent', entity: ref, members: { parent: folderArgument(parent) } }),
  );
  return ref as ManagedObjectReference<'Datacenter'>;
}

export interface NewCluster {
  readonly folder: string;
  readonly name: string;
  readonly spec: ClusterConfigSpec | ClusterConfigSpecEx;
  readonly post: PostEvent;
}

/** Folder.CreateCluster and CreateClusterEx */
export function createCluster(
  edit: InventoryEdit,
  { folder, name, spec, post }: NewCluster,
): ManagedObjectReference<'ClusterComputeResource'> {
  const parent = folderHolding(edit, folder, 'ComputeResource');
  const kept = entityName(name);
  requireFreeName(edit, { type: 'Folder', value: '', name: kept, parent: folder, childType: [] });
  const configuration = clusterConfiguration(edit, undefined, spec);
  const value = edit.mint('domain-c');
  const pool = edit.mint('resgroup-');
  const cluster = { type: 'ClusterComputeResource', value, name: kept, parent: folder } as const;
  edit.put({ ...cluster, pool, environmentBrowser: edit.mint('envbrowser-'), configuration });
  edit.put({
    type: 'ResourcePool',
    value: pool,
    name: 'Resources',
    parent: value,
    owner: value,
    resources: plainResources(),
  });
  const ref = referenceOf(cluster);
  edit.show((draft) =>
    post(draft, { type: 'ClusterCreatedEvent', entity: ref, members: { parent: folderArgument(parent) } }),
  );
  return ref as ManagedObjectReference<'ClusterComputeResource'>;
}

/** The folder, which must be one for that. Throws NotSupported. */
function folderHolding(edit: InventoryEdit, value: string, type: string): FolderDocument {
  const folder = edit.find(value);
  if (folder?.type !== 'Folder')
    throw fault('ManagedObjectNotFound', { obj: { type: 'Folder', value } }, 'The folder is gone.');
  if (folder.childType.includes(type)) return folder;
  throw fault('NotSupported', {}, `The folder '${folder.name}' is for ${folder.childType.join(', ')}, not for that.`);
}

function folderArgument(folder: FolderDocument) {
  return data('FolderEventArgument', {
    folder: referenceOf(folder) as ManagedObjectReference<'Folder'>,
    name: folder.name,
  });
}
