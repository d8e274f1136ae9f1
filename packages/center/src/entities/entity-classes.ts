import type { CenterCore } from '../center-core.ts';
import type { Forwarding } from '../forwarding/forwarding.ts';
import type { EntityClasses } from '../inventory/inventory.ts';
import { defineRemovalWork } from '../joining/remove-host-work.ts';
import { defineMachineWork } from '../machines/machine-methods.ts';
import { clusterClass, computeClass } from './compute-class.ts';
import { datacenterClass } from './datacenter-class.ts';
import { folderClass } from './folder-class.ts';
import { hostClass } from './host-class.ts';
import { machineClass } from './machine-class.ts';
import { poolClass, vAppClass } from './pool-class.ts';
import { datastoreClass, networkClass } from './storage-and-network-classes.ts';

/** What every kind of entity of a center is: its lists, and who answers its methods. */
export function entityClasses(core: CenterCore, forwarding: Forwarding): EntityClasses {
  const work = defineMachineWork(core, forwarding);
  const removal = defineRemovalWork(core);
  return {
    Folder: folderClass(core, work),
    Datacenter: datacenterClass(core),
    ComputeResource: computeClass(core, removal),
    ClusterComputeResource: clusterClass(core),
    ResourcePool: poolClass(core, work),
    VirtualApp: vAppClass(core, work),
    HostSystem: hostClass(core, forwarding, removal),
    VirtualMachine: machineClass(core, work),
    Datastore: datastoreClass(core, forwarding),
    Network: networkClass(core, forwarding),
  };
}
