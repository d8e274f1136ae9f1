import { requireForDestroy } from '@hypostyle/services';
import { fault, type ManagedObjectReference, type MethodTable } from '@hypostyle/vim';
import type { CenterCore } from '../center-core.ts';
import { referenceOf } from '../inventory/entity-document.ts';
import { privilegeScope } from '../inventory/privilege-scope.ts';
import { computeOf, defineAddHost } from './add-host-work.ts';
import { queryConnectionInfo, queryConnectionInfos } from './connection-info.ts';
import { clusterOf, poolOfCluster } from './host-places.ts';
import { defineHostMoves } from './move-host-work.ts';
import { definePresenceWork } from './presence-work.ts';
import type { RemovalWork } from './remove-host-work.ts';

/** Folder: hosts that come in alone. */
export function joiningMethodsOfFolder(core: CenterCore): MethodTable<'Folder'> {
  const add = defineAddHost(core, { id: 'Folder.addStandaloneHost', method: 'AddStandaloneHost_Task' }, (host) =>
    computeOf(core, host),
  );
  return {
    AddStandaloneHost_Task: (call, { spec, addConnected }) => {
      const folder = core.inventory.get('Folder', call.self.ref);
      if (!folder.childType.includes('ComputeResource'))
        throw fault('NotSupported', {}, 'Hosts are added to a folder of hosts.');
      checkVmFolder(core, folder.value, spec.vmFolder);
      return add(call, { spec, place: { kind: 'standalone', folder: folder.value }, connected: addConnected });
    },
  };
}

/** ClusterComputeResource: hosts that come in, and that move in. */
export function joiningMethodsOfCluster(core: CenterCore): MethodTable<'ClusterComputeResource'> {
  const add = defineAddHost(core, { id: 'ClusterComputeResource.addHost', method: 'AddHost_Task' }, referenceOf);
  const moves = defineHostMoves(core);
  return {
    AddHost_Task: (call, { spec, asConnected, resourcePool }) => {
      const cluster = clusterOf(core, call.self.ref);
      checkVmFolder(core, cluster.value, spec.vmFolder);
      const pool = resourcePool === undefined ? undefined : poolOfCluster(core, resourcePool.value, cluster.value);
      const place = { kind: 'cluster', cluster: cluster.value } as const;
      return add(call, { spec, place, connected: asConnected, pool: pool?.value });
    },
    MoveInto_Task: (call, { host }) => moves.moveInto(call, host),
    MoveHostInto_Task: (call, { host, resourcePool }) => moves.moveHostInto(call, host, resourcePool),
  };
}

/** HostSystem: what it is to the center; all else it answers itself. */
export function joiningMethodsOfHost(core: CenterCore, removal: RemovalWork): MethodTable<'HostSystem'> {
  const presence = definePresenceWork(core);
  return {
    DisconnectHost_Task: (call) => presence.disconnect(call),
    ReconnectHost_Task: (call, { cnxSpec }) => presence.reconnect(call, cnxSpec),
    Destroy_Task: (call) => {
      requireForDestroy(privilegeScope(core), call, call.self.ref);
      return removal.removeHost(call);
    },
  };
}

/** ComputeResource of a host alone: it goes with its host. */
export function joiningMethodsOfStandalone(core: CenterCore, removal: RemovalWork): MethodTable<'ComputeResource'> {
  return {
    Destroy_Task: (call) => {
      requireForDestroy(privilegeScope(core), call, call.self.ref);
      return removal.removeStandalone(call);
    },
  };
}

/** Datacenter: what a host would bring, before it is added. */
export function joiningMethodsOfDatacenter(core: CenterCore): MethodTable<'Datacenter'> {
  return {
    QueryConnectionInfo: (_, { hostname, port, username, password, sslThumbprint }) =>
      queryConnectionInfo(core, {
        _typeName: 'HostConnectSpec',
        hostName: hostname,
        port: port > 0 ? port : 443,
        userName: username,
        password,
        force: false,
        ...(sslThumbprint === undefined ? {} : { sslThumbprint }),
      }),
    QueryConnectionInfoViaSpec: (_, { spec }) => queryConnectionInfo(core, spec),
    BatchQueryConnectInfo: (_, { hostSpecs = [] }) => queryConnectionInfos(core, hostSpecs),
  };
}

/** Throws InvalidArgument unless it is a folder of machines of the same datacenter. */
function checkVmFolder(core: CenterCore, near: string, vmFolder: ManagedObjectReference | undefined): void {
  if (vmFolder === undefined) return;
  const folder = core.inventory.get('Folder', vmFolder);
  const there = core.inventory.above(folder.value, ['Datacenter'])?.value;
  if (folder.childType.includes('VirtualMachine') && there === core.inventory.above(near, ['Datacenter'])?.value)
    return;
  throw fault(
    'InvalidArgument',
    { invalidProperty: 'spec.vmFolder' },
    'Machines go to a folder of machines of the datacenter.',
  );
}
