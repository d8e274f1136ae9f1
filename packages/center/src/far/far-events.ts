import { asFault, type ManagedObjectReference } from '@hypostyle/vim';
import type { CenterCore } from '../center-core.ts';

type Names = Pick<CenterCore, 'inventory'>;

/** How events name things of the center. */
export function hostArgument({ inventory }: Names, host: string) {
  return { _typeName: 'HostEventArgument', name: inventory.find(host)?.name ?? host, host: refOf('HostSystem', host) };
}

export function datastoreArgument({ inventory }: Names, datastore: string) {
  const name = inventory.find(datastore)?.name ?? datastore;
  return { _typeName: 'DatastoreEventArgument', name, datastore: refOf('Datastore', datastore) };
}

export function datacenterArgument({ inventory }: Names, host: string) {
  const datacenter = inventory.above(host, ['Datacenter']);
  if (datacenter === undefined) return undefined;
  const { name, value } = datacenter;
  return { _typeName: 'DatacenterEventArgument', name, datacenter: refOf('Datacenter', value) };
}

export function folderArgument({ inventory }: Names, folder: string) {
  return {
    _typeName: 'FolderEventArgument',
    name: inventory.find(folder)?.name ?? folder,
    folder: refOf('Folder', folder),
  };
}

export function machineArgument({ inventory }: Names, machine: string) {
  return {
    _typeName: 'VmEventArgument',
    name: inventory.find(machine)?.name ?? machine,
    vm: refOf('VirtualMachine', machine),
  };
}

export function reasonOf(error: unknown) {
  const { detail, message } = asFault(error);
  return { _typeName: 'LocalizedMethodFault', fault: detail, localizedMessage: message };
}

function refOf<T extends string>(type: T, value: string): ManagedObjectReference {
  return { _typeName: 'ManagedObjectReference', type, value } as ManagedObjectReference;
}
