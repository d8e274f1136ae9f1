import { fault, type ManagedObjectReference } from '@hypostyle/vim';
import type { CenterCore } from '../center-core.ts';
import type { HostLink } from '../hosts/connection/host-link.ts';

/**
 * A reference of the center as one host has it. A host has one folder of each kind and one root pool: whatever folder
 * or pool of the center is meant, that is the host's. Throws InvalidArgument for what the host has not.
 */
export function toHost(core: CenterCore, link: HostLink, ref: ManagedObjectReference): ManagedObjectReference {
  const there = link.mirror.references.toHost(ref);
  if (there !== undefined) return there;
  const { layout } = link;
  const document = core.inventory.find(ref.value);
  switch (document?.type) {
    case 'Folder':
      if (document.childType.includes('VirtualMachine')) return layout.vmFolder;
      if (document.childType.includes('ComputeResource')) return layout.hostFolder;
      if (document.childType.includes('Datastore')) return layout.datastoreFolder;
      if (document.childType.includes('Network')) return layout.networkFolder;
      return layout.content.rootFolder;
    case 'ResourcePool':
    case 'VirtualApp':
      return layout.rootPool;
    case 'ComputeResource':
    case 'ClusterComputeResource':
      return layout.computeResource;
    case 'Datacenter':
      return layout.datacenter;
    default: {
      const name = document === undefined ? ref.value : `'${document.name}'`;
      throw fault('InvalidArgument', {}, `The ${ref.type} ${name} is not on the host that does the work.`);
    }
  }
}
