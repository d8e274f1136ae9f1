import type { HostDocument } from '../../inventory/entity-document.ts';
import { referenceOf } from '../../inventory/entity-document.ts';
import type { Inventory } from '../../inventory/inventory.ts';

/** What stands at the center for what a host has once. */
export function hostPlace(inventory: Inventory, document: HostDocument) {
  const compute = inventory.above(document.value, ['ComputeResource', 'ClusterComputeResource']);
  const datacenter = inventory.above(document.value, ['Datacenter']);
  if (compute === undefined || datacenter === undefined) throw new Error(`${document.value} is in no datacenter`);
  const to = (type: string, value: string) => ({ _typeName: 'ManagedObjectReference', type, value });
  return {
    datacenter: referenceOf(datacenter),
    vmFolder: to('Folder', datacenter.vmFolder),
    hostFolder: to('Folder', datacenter.hostFolder),
    datastoreFolder: to('Folder', datacenter.datastoreFolder),
    networkFolder: to('Folder', datacenter.networkFolder),
    computeResource: referenceOf(compute),
    rootPool: to('ResourcePool', compute.pool),
    host: referenceOf(document),
    environmentBrowser: to('EnvironmentBrowser', compute.environmentBrowser),
  };
}
