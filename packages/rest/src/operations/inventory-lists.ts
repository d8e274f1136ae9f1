import type { ManagedObject, ManagedObjectReference } from '@hypostyle/vim';
import { type Static, type TSchema, Type } from '@sinclair/typebox';
import { type CenterView, nameOf, read } from '../calls/center-view.ts';
import { constantCase, defined, idsOf, oneOf, powerStates, some, takes } from '../schemas/common.ts';
import { type Operation, operation } from './operation.ts';

/** Most objects that a list answers, by what it lists. */
export const listLimits = { machine: 4_000, host: 2_500, other: 1_000 } as const;

const folderTypes = oneOf('DATACENTER', 'DATASTORE', 'HOST', 'NETWORK', 'VIRTUAL_MACHINE');
const connectionStates = oneOf('CONNECTED', 'DISCONNECTED', 'NOT_RESPONDING');
const networkTypes = oneOf('STANDARD_PORTGROUP', 'DISTRIBUTED_PORTGROUP', 'OPAQUE_NETWORK');
const knownDatastoreTypes = ['VMFS', 'NFS', 'NFS41', 'CIFS', 'VSAN', 'VFFS', 'VVOL'] as const;
const datastoreTypes = oneOf(...knownDatastoreTypes);
type DatastoreType = Static<typeof datastoreTypes>;

const list = <S extends TSchema>(schema: S) => Type.Array(schema);

/** Lists of the inventory: whoever may not read an object does not see it. */
export const listOperations: readonly Operation[] = [
  operation({
    id: 'vcenter.datacenter.list',
    summary: 'Datacenters that match the filter.',
    method: 'GET',
    path: '/vcenter/datacenter',
    rest: {},
    query: Type.Object({ datacenters: some, names: some, folders: some }),
    answer: list(Type.Object({ datacenter: Type.String(), name: Type.String() })),
    async run({ view, query: { datacenters, names, folders } }) {
      const found = await view.select('Datacenter', listLimits.other, {
        ids: idsOf(datacenters),
        matches: (object) => takes(names, nameOf(object)) && takes(folders, parentOf(object)),
      });
      return found.map((object) => ({ datacenter: object.ref.value, name: nameOf(object) }));
    },
  }),
  operation({
    id: 'vcenter.folder.list',
    summary: 'Folders that match the filter.',
    method: 'GET',
    path: '/vcenter/folder',
    rest: {},
    query: Type.Object({
      folders: some,
      names: some,
      type: Type.Optional(folderTypes),
      parent_folders: some,
      datacenters: some,
    }),
    answer: list(Type.Object({ folder: Type.String(), name: Type.String(), type: folderTypes })),
    async run({ view, query: { folders, names, type, parent_folders, datacenters } }) {
      const found = await view.select('Folder', listLimits.other, {
        ids: idsOf(folders),
        matches: (object) =>
          takes(names, nameOf(object)) &&
          (type === undefined || folderType(object) === type) &&
          takes(parent_folders, parentOf(object)) &&
          takesDatacenter(view, datacenters, object),
      });
      return found.map((object) => ({ folder: object.ref.value, name: nameOf(object), type: folderType(object) }));
    },
  }),
  operation({
    id: 'vcenter.host.list',
    summary: 'Hosts that match the filter.',
    method: 'GET',
    path: '/vcenter/host',
    rest: {},
    query: Type.Object({
      hosts: some,
      names: some,
      folders: some,
      datacenters: some,
      clusters: some,
      standalone: Type.Optional(Type.Boolean()),
      connection_states: Type.Optional(Type.Array(connectionStates)),
    }),
    answer: list(
      Type.Object({
        host: Type.String(),
        name: Type.String(),
        connection_state: connectionStates,
        power_state: Type.Optional(oneOf('POWERED_ON', 'POWERED_OFF', 'STANDBY')),
      }),
    ),
    async run({ view, query }) {
      const { hosts, names, folders, datacenters, clusters, standalone, connection_states: states } = query;
      const found = await view.select('HostSystem', listLimits.host, {
        ids: idsOf(hosts),
        matches: (object) => {
          const parent = view.above(object).next().value;
          const isStandalone = parent?.ref.type !== 'ClusterComputeResource';
          return (
            takes(names, nameOf(object)) &&
            (standalone === undefined || standalone === isStandalone) &&
            takes(clusters, isStandalone ? undefined : parent?.ref.value) &&
            takes(folders, parent === undefined ? undefined : parentOf(parent)) &&
            takes(states, connectionState(object)) &&
            takesDatacenter(view, datacenters, object)
          );
        },
      });
      return found.map((object) => {
        const power = constantCase(read('HostSystem', object, 'runtime')?.powerState ?? 'unknown');
        return defined({
          host: object.ref.value,
          name: nameOf(object),
          connection_state: connectionState(object),
          power_state:
            power === 'STAND_BY' ? ('STANDBY' as const) : power === 'UNKNOWN' ? undefined : (power as 'POWERED_ON'),
        });
      });
    },
  }),
  operation({
    id: 'vcenter.cluster.list',
    summary: 'Clusters that match the filter.',
    method: 'GET',
    path: '/vcenter/cluster',
    rest: {},
    query: Type.Object({ clusters: some, names: some, folders: some, datacenters: some }),
    answer: list(
      Type.Object({
        cluster: Type.String(),
        name: Type.String(),
        ha_enabled: Type.Boolean(),
        drs_enabled: Type.Boolean(),
      }),
    ),
    async run({ view, query: { clusters, names, folders, datacenters } }) {
      const found = await view.select('ClusterComputeResource', listLimits.other, {
        ids: idsOf(clusters),
        matches: (object) =>
          takes(names, nameOf(object)) &&
          takes(folders, parentOf(object)) &&
          takesDatacenter(view, datacenters, object),
      });
      return found.map((object) => {
        const configuration = read('ClusterComputeResource', object, 'configuration');
        return {
          cluster: object.ref.value,
          name: nameOf(object),
          ha_enabled: configuration?.dasConfig?.enabled ?? false,
          drs_enabled: configuration?.drsConfig?.enabled ?? false,
        };
      });
    },
  }),
  operation({
    id: 'vcenter.datastore.list',
    summary: 'Datastores that match the filter.',
    method: 'GET',
    path: '/vcenter/datastore',
    rest: {},
    query: Type.Object({
      datastores: some,
      names: some,
      types: Type.Optional(Type.Array(datastoreTypes)),
      folders: some,
      datacenters: some,
    }),
    answer: list(
      Type.Object({
        datastore: Type.String(),
        name: Type.String(),
        type: datastoreTypes,
        free_space: Type.Optional(Type.Integer()),
        capacity: Type.Optional(Type.Integer()),
      }),
    ),
    async run({ view, query: { datastores, names, types, folders, datacenters } }) {
      const found = await view.select('Datastore', listLimits.other, {
        ids: idsOf(datastores),
        matches: (object) =>
          takes(names, nameOf(object)) &&
          takes(types, datastoreType(object)) &&
          takes(folders, parentOf(object)) &&
          takesDatacenter(view, datacenters, object),
      });
      return found.map((object) => {
        const summary = read('Datastore', object, 'summary');
        return defined({
          datastore: object.ref.value,
          name: nameOf(object),
          type: datastoreType(object),
          free_space: summary?.accessible ? Number(summary.freeSpace) : undefined,
          capacity: summary?.accessible ? Number(summary.capacity) : undefined,
        });
      });
    },
  }),
  operation({
    id: 'vcenter.network.list',
    summary: 'Networks that match the filter.',
    method: 'GET',
    path: '/vcenter/network',
    rest: {},
    query: Type.Object({
      networks: some,
      names: some,
      types: Type.Optional(Type.Array(networkTypes)),
      folders: some,
      datacenters: some,
    }),
    answer: list(Type.Object({ network: Type.String(), name: Type.String(), type: networkTypes })),
    async run({ view, query: { networks, names, types, folders, datacenters } }) {
      const found = await view.select('Network', listLimits.other, {
        ids: idsOf(networks),
        matches: (object) =>
          takes(names, nameOf(object)) &&
          takes(types, networkType(object)) &&
          takes(folders, parentOf(object)) &&
          takesDatacenter(view, datacenters, object),
      });
      return found.map((object) => ({
        network: object.ref.value,
        name: nameOf(object),
        type: networkType(object),
      }));
    },
  }),
  operation({
    id: 'vcenter.vm.list',
    summary: 'Virtual machines that match the filter, 4,000 at most.',
    method: 'GET',
    path: '/vcenter/vm',
    rest: {},
    query: Type.Object({
      vms: some,
      names: some,
      folders: some,
      datacenters: some,
      hosts: some,
      clusters: some,
      resource_pools: some,
      power_states: Type.Optional(Type.Array(powerStates)),
    }),
    answer: list(
      Type.Object({
        vm: Type.String(),
        name: Type.String(),
        power_state: powerStates,
        cpu_count: Type.Optional(Type.Integer()),
        memory_size_MiB: Type.Optional(Type.Integer()),
      }),
    ),
    async run({ view, query }) {
      const { vms, names, folders, datacenters, hosts, clusters, resource_pools: pools, power_states: states } = query;
      const found = await view.select('VirtualMachine', listLimits.machine, {
        ids: idsOf(vms),
        matches: (object) =>
          // Templates are no machines to this interface.
          read('VirtualMachine', object, 'config')?.template !== true &&
          takes(names, nameOf(object)) &&
          takes(states, machinePower(object)) &&
          takes(hosts, read('VirtualMachine', object, 'runtime')?.host?.value) &&
          takes(pools, (object.value('resourcePool') as ManagedObjectReference | undefined)?.value) &&
          takes(folders, parentOf(object)) &&
          (idsOf(clusters) === undefined || takes(clusters, ownerOf(view, object))) &&
          takesDatacenter(view, datacenters, object),
      });
      return found.map((object) => {
        const summary = read('VirtualMachine', object, 'summary')?.config;
        const hardware = read('VirtualMachine', object, 'config')?.hardware;
        return defined({
          vm: object.ref.value,
          name: nameOf(object),
          power_state: machinePower(object),
          cpu_count: summary?.numCpu ?? hardware?.numCPU,
          memory_size_MiB: summary?.memorySizeMB ?? hardware?.memoryMB,
        });
      });
    },
  }),
  operation({
    id: 'vcenter.resource-pool.list',
    summary: 'Resource pools that match the filter.',
    method: 'GET',
    path: '/vcenter/resource-pool',
    rest: {},
    query: Type.Object({
      resource_pools: some,
      names: some,
      parent_resource_pools: some,
      datacenters: some,
      hosts: some,
      clusters: some,
    }),
    answer: list(Type.Object({ resource_pool: Type.String(), name: Type.String() })),
    async run({ view, query }) {
      const { resource_pools: pools, names, parent_resource_pools: parents, datacenters, hosts, clusters } = query;
      const found = await view.select('ResourcePool', listLimits.other, {
        ids: idsOf(pools),
        matches: (object) => {
          const owner = object.value('owner') as ManagedObjectReference | undefined;
          const held = owner === undefined ? [] : (read('ComputeResource', view.registry.get(owner), 'host') ?? []);
          return (
            object.ref.type === 'ResourcePool' &&
            takes(names, nameOf(object)) &&
            takes(parents, parentOf(object)) &&
            takes(clusters, owner?.type === 'ClusterComputeResource' ? owner.value : undefined) &&
            (idsOf(hosts) === undefined || held.some((host) => takes(hosts, host.value))) &&
            takesDatacenter(view, datacenters, object)
          );
        },
      });
      return found.map((object) => ({ resource_pool: object.ref.value, name: nameOf(object) }));
    },
  }),
  operation({
    id: 'vcenter.storage.policies.list',
    summary: 'Storage policies: there are none here.',
    method: 'GET',
    path: '/vcenter/storage/policies',
    rest: {},
    query: Type.Object({ policies: some }),
    answer: list(Type.Object({ policy: Type.String(), name: Type.String(), description: Type.String() })),
    run: () => [],
  }),
];

function parentOf(object: ManagedObject): string | undefined {
  return (object.value('parent') as ManagedObjectReference | undefined)?.value;
}

function takesDatacenter(view: CenterView, datacenters: readonly string[] | undefined, object: ManagedObject): boolean {
  return idsOf(datacenters) === undefined || takes(datacenters, view.nearest(object, 'Datacenter')?.ref.value);
}

/** The cluster or host that a machine's resource pool divides. */
function ownerOf(view: CenterView, machine: ManagedObject): string | undefined {
  const pool = machine.value('resourcePool') as ManagedObjectReference | undefined;
  if (pool === undefined) return undefined;
  return (view.registry.get(pool)?.value('owner') as ManagedObjectReference | undefined)?.value;
}

export function machinePower(object: ManagedObject): Static<typeof powerStates> {
  const state = read('VirtualMachine', object, 'runtime')?.powerState ?? 'poweredOff';
  return constantCase(state) as Static<typeof powerStates>;
}

function connectionState(object: ManagedObject): Static<typeof connectionStates> {
  const state = read('HostSystem', object, 'runtime')?.connectionState ?? 'disconnected';
  return constantCase(state) as Static<typeof connectionStates>;
}

function folderType(object: ManagedObject): Static<typeof folderTypes> {
  const types = read('Folder', object, 'childType') ?? [];
  if (types.includes('Datacenter')) return 'DATACENTER';
  if (types.includes('VirtualMachine')) return 'VIRTUAL_MACHINE';
  if (types.includes('ComputeResource')) return 'HOST';
  return types.includes('Datastore') ? 'DATASTORE' : 'NETWORK';
}

function networkType(object: ManagedObject): Static<typeof networkTypes> {
  if (object.ref.type === 'DistributedVirtualPortgroup') return 'DISTRIBUTED_PORTGROUP';
  return object.ref.type === 'OpaqueNetwork' ? 'OPAQUE_NETWORK' : 'STANDARD_PORTGROUP';
}

/** What this interface has no word for is told as VMFS, as a local disk is. */
export function datastoreType(object: ManagedObject): DatastoreType {
  const type = (read('Datastore', object, 'summary')?.type ?? '').toUpperCase();
  return knownDatastoreTypes.find((each) => each === type) ?? 'VMFS';
}
