import type { PrivilegeScope } from '@hypostyle/services';
import { fault, type ManagedObjectReference } from '@hypostyle/vim';
import type { CenterBase } from '../center-base.ts';
import { type EntityDocument, referenceOf } from './entity-document.ts';

/** The center as checks of privileges on arguments see it: names mean something within a datacenter. */
export function privilegeScope({ registry, authorizer, inventory }: CenterBase): PrivilegeScope {
  const inDatacenter = (type: 'Datastore' | 'Network', name: string, near: ManagedObjectReference) => {
    const document = inventory.find(near.value);
    const start = document?.type === 'VirtualMachine' ? document.host : near.value;
    const datacenter = inventory.above(start, ['Datacenter']);
    if (datacenter === undefined) return undefined;
    return below(type === 'Datastore' ? datacenter.datastoreFolder : datacenter.networkFolder, type, name);
  };
  const below = (folder: string, type: string, name: string): EntityDocument | undefined => {
    for (const child of inventory.children(folder)) {
      if (child.type === type && child.name === name) return child;
      const found = child.type === 'Folder' ? below(child.value, type, name) : undefined;
      if (found !== undefined) return found;
    }
    return undefined;
  };
  return {
    registry,
    authorizer,
    datastore: (name, near) => {
      const found = inDatacenter('Datastore', name, near);
      if (found === undefined) throw fault('InvalidDatastore', { name }, `There is no datastore '${name}' here.`);
      return referenceOf(found);
    },
    network: (name, near) => {
      const found = inDatacenter('Network', name, near);
      return found === undefined ? undefined : referenceOf(found);
    },
  };
}
