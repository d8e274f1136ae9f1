import { data } from '@hypostyle/vim';
import type { DatacenterDocument, FolderDocument } from './entity-document.ts';
import type { InventoryEdit } from './inventory.ts';

const kinds = [
  ['vmFolder', 'group-v', 'vm', ['Folder', 'VirtualMachine', 'VirtualApp']],
  ['hostFolder', 'group-h', 'host', ['Folder', 'ComputeResource']],
  ['datastoreFolder', 'group-s', 'datastore', ['Folder', 'Datastore', 'StoragePod']],
  ['networkFolder', 'group-n', 'network', ['Folder', 'Network', 'DistributedVirtualSwitch']],
] as const;

/** A datacenter with its four folders. */
export function newDatacenter(edit: InventoryEdit, name: string, parent: string): DatacenterDocument {
  const value = edit.mint('datacenter-');
  const folders = kinds.map(([property, prefix, folder, childType]) => {
    const document: FolderDocument = {
      type: 'Folder',
      value: edit.mint(prefix),
      name: folder,
      parent: value,
      childType,
      fixed: true,
    };
    return [property, document] as const;
  });
  const of = Object.fromEntries(folders.map(([property, { value }]) => [property, value]));
  const document = {
    type: 'Datacenter',
    value,
    name,
    parent,
    ...of,
    configuration: data('DatacenterConfigInfo', { defaultHardwareVersionKey: 'vmx-21' }),
  } as unknown as DatacenterDocument;
  edit.put(document);
  for (const [, folder] of folders) edit.put(folder);
  return document;
}
