import type { EntityClasses } from '../inventory/inventory.ts';
import { defineRemovalWork } from '../joining/remove-host-work.ts';
import { defineMachineWork } from '../machines/machine-methods.ts';
import { defineDatastoreWork } from '../storage/datastore-work.ts';
import { clusterClass, computeClass } from './compute-class.ts';
import { datacenterClass } from './datacenter-class.ts';
import type { EntityParts } from './entity-parts.ts';
import { folderClass } from './folder-class.ts';
import { hostClass } from './host-class.ts';
import { machineClass } from './machine-class.ts';
import { poolClass, vAppClass } from './pool-class.ts';
import { datastoreClass, networkClass } from './storage-and-network-classes.ts';

/** What every kind of entity of a center is: its lists, and who answers its methods. */
export function entityClasses(parts: EntityParts): EntityClasses {
  const { core, forwarding } = parts;
  const work = defineMachineWork(core, forwarding, parts.pools);
  const removal = defineRemovalWork(core);
  return {
    Folder: folderClass(parts, work),
    Datacenter: datacenterClass(parts, work),
    ComputeResource: computeClass(parts, removal),
    ClusterComputeResource: clusterClass(parts),
    ResourcePool: poolClass(parts, work),
    VirtualApp: vAppClass(parts, work),
    HostSystem: hostClass(parts, removal),
    VirtualMachine: machineClass(parts, work),
    Datastore: datastoreClass(parts, defineDatastoreWork(core)),
    Network: networkClass(parts),
  };
}
