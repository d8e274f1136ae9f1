import { data, type ManagedObject, type ManagedObjectReference, type ResourceAllocationInfo } from '@hypostyle/vim';
import { type Static, Type } from '@sinclair/typebox';
import { type CenterView, nameOf, read } from '../calls/center-view.ts';
import { AutomationError, invalidArgument } from '../errors.ts';
import { closed, defined, identifier, name, oneOf, optionalBoolean } from '../schemas/common.ts';
import { datastoreType } from './inventory-lists.ts';
import { type Operation, operation } from './operation.ts';

const shares = Type.Object({
  level: oneOf('LOW', 'NORMAL', 'HIGH', 'CUSTOM'),
  shares: Type.Optional(Type.Integer()),
});
const allocation = Type.Object({
  reservation: Type.Integer(),
  expandable_reservation: Type.Boolean(),
  limit: Type.Integer(),
  shares,
});
const allocationSpec = closed({
  reservation: Type.Optional(Type.Integer({ minimum: 0 })),
  expandable_reservation: optionalBoolean,
  limit: Type.Optional(Type.Integer({ minimum: -1 })),
  shares: Type.Optional(
    closed({
      level: oneOf('LOW', 'NORMAL', 'HIGH', 'CUSTOM'),
      shares: Type.Optional(Type.Integer({ minimum: 0, maximum: 1_000_000 })),
    }),
  ),
});
type AllocationSpec = Static<typeof allocationSpec>;

const cascade = Type.Object({ force: Type.Optional(Type.Boolean()) });

/** Datacenters, clusters, hosts, datastores and resource pools one by one. */
export const objectOperations: readonly Operation[] = [
  operation({
    id: 'vcenter.datacenter.get',
    summary: 'One datacenter.',
    method: 'GET',
    path: '/vcenter/datacenter/{datacenter}',
    rest: {},
    answer: Type.Object({
      name: Type.String(),
      datastore_folder: Type.String(),
      host_folder: Type.String(),
      network_folder: Type.String(),
      vm_folder: Type.String(),
    }),
    run({ view, path }) {
      const object = view.get('Datacenter', path.datacenter);
      const folder = (property: 'datastoreFolder' | 'hostFolder' | 'networkFolder' | 'vmFolder') =>
        read('Datacenter', object, property)?.value ?? '';
      return {
        name: nameOf(object),
        datastore_folder: folder('datastoreFolder'),
        host_folder: folder('hostFolder'),
        network_folder: folder('networkFolder'),
        vm_folder: folder('vmFolder'),
      };
    },
  }),
  operation({
    id: 'vcenter.datacenter.create',
    summary: 'Creates a datacenter in a folder of datacenters, the root folder unless told.',
    method: 'POST',
    path: '/vcenter/datacenter',
    rest: {},
    created: true,
    body: closed({ name, folder: Type.Optional(identifier) }),
    answer: Type.String(),
    async run({ view, body }) {
      const folder = body.folder === undefined ? view.rootFolder : view.get('Folder', body.folder).ref;
      return (await view.invoke('Folder', folder, 'CreateDatacenter', { name: body.name })).value;
    },
  }),
  operation({
    id: 'vcenter.datacenter.delete',
    summary: 'Removes a datacenter; one that holds machines or hosts only by force.',
    method: 'DELETE',
    path: '/vcenter/datacenter/{datacenter}',
    rest: {},
    query: cascade,
    async run({ view, path, query }) {
      const object = view.get('Datacenter', path.datacenter);
      view.require(object.ref, 'Datacenter.Delete');
      if (query.force !== true && holdsAnything(view, object)) {
        throw new AutomationError('resource_in_use', `The datacenter ${nameOf(object)} is not empty.`);
      }
      await view.run('ManagedEntity', object.ref, 'Destroy_Task', {});
    },
  }),
  operation({
    id: 'vcenter.cluster.get',
    summary: 'One cluster.',
    method: 'GET',
    path: '/vcenter/cluster/{cluster}',
    rest: {},
    answer: Type.Object({ name: Type.String(), resource_pool: Type.String() }),
    run({ view, path }) {
      const object = view.get('ClusterComputeResource', path.cluster);
      return { name: nameOf(object), resource_pool: read('ComputeResource', object, 'resourcePool')?.value ?? '' };
    },
  }),
  operation({
    id: 'vcenter.datastore.get',
    summary: 'One datastore.',
    method: 'GET',
    path: '/vcenter/datastore/{datastore}',
    rest: {},
    answer: Type.Object({
      name: Type.String(),
      type: Type.String(),
      accessible: Type.Boolean(),
      free_space: Type.Optional(Type.Integer()),
      multiple_host_access: Type.Boolean(),
      thin_provisioning_supported: Type.Boolean(),
    }),
    run({ view, path }) {
      const object = view.get('Datastore', path.datastore);
      const summary = read('Datastore', object, 'summary');
      return defined({
        name: nameOf(object),
        type: datastoreType(object) as string,
        accessible: summary?.accessible ?? false,
        free_space: summary?.accessible ? Number(summary.freeSpace) : undefined,
        multiple_host_access: summary?.multipleHostAccess ?? false,
        thin_provisioning_supported: read('Datastore', object, 'capability')?.perFileThinProvisioningSupported ?? false,
      });
    },
  }),
  operation({
    id: 'vcenter.host.create',
    summary: 'Adds a host to a cluster, or on its own to a folder of hosts.',
    method: 'POST',
    path: '/vcenter/host',
    rest: {},
    created: true,
    body: closed({
      hostname: Type.String({ minLength: 1, maxLength: 255 }),
      port: Type.Optional(Type.Integer({ minimum: 1, maximum: 65_535 })),
      user_name: Type.String({ minLength: 1, maxLength: 256 }),
      password: Type.String({ maxLength: 1_024 }),
      folder: Type.Optional(identifier),
      cluster: Type.Optional(identifier),
      thumbprint_verification: oneOf('NONE', 'THUMBPRINT'),
      thumbprint: Type.Optional(Type.String({ maxLength: 128 })),
      force_add: optionalBoolean,
    }),
    answer: Type.String(),
    async run({ view, body }) {
      if (body.thumbprint_verification === 'THUMBPRINT' && body.thumbprint === undefined) {
        throw invalidArgument('The member thumbprint is missing.');
      }
      const spec = data(
        'HostConnectSpec',
        defined({
          hostName: body.hostname,
          port: body.port,
          userName: body.user_name,
          password: body.password,
          sslThumbprint: body.thumbprint,
          force: body.force_add ?? false,
        }),
      );
      const withThumbprint = async (add: (sent: typeof spec) => Promise<unknown>) => {
        try {
          return await add(spec);
        } catch (error) {
          // Whoever asks for no verification takes the certificate that the host shows.
          const shown = (error as { detail?: { _typeName?: string; thumbprint?: string } }).detail;
          if (body.thumbprint_verification !== 'NONE' || shown?._typeName !== 'SSLVerifyFault') throw error;
          if (shown.thumbprint === undefined) throw error;
          return add({ ...spec, sslThumbprint: shown.thumbprint });
        }
      };
      if (body.cluster !== undefined) {
        const cluster = view.get('ClusterComputeResource', body.cluster).ref;
        return idOf(
          await withThumbprint((sent) =>
            view.run('ClusterComputeResource', cluster, 'AddHost_Task', { spec: sent, asConnected: true }),
          ),
        );
      }
      if (body.folder === undefined) throw invalidArgument('One of folder and cluster is needed.');
      const folder = view.get('Folder', body.folder).ref;
      const added = await withThumbprint((sent) =>
        view.run('Folder', folder, 'AddStandaloneHost_Task', { spec: sent, addConnected: true }),
      );
      const [host] = read('ComputeResource', view.registry.get(added as ManagedObjectReference), 'host') ?? [];
      return idOf(host ?? added);
    },
  }),
  operation({
    id: 'vcenter.host.delete',
    summary: 'Removes a host from the inventory; its machines run on.',
    method: 'DELETE',
    path: '/vcenter/host/{host}',
    rest: {},
    async run({ view, path }) {
      const host = view.get('HostSystem', path.host);
      const parent = view.above(host).next().value;
      // A host on its own goes with the ComputeResource that is made of it.
      const gone = parent?.ref.type === 'ComputeResource' ? parent : host;
      await view.run('ManagedEntity', gone.ref, 'Destroy_Task', {});
    },
  }),
  operation({
    id: 'vcenter.host.connect',
    summary: 'Connects a host that was disconnected.',
    method: 'POST',
    path: '/vcenter/host/{host}',
    action: 'connect',
    rest: { wrap: null },
    async run({ view, path }) {
      const host = view.get('HostSystem', path.host);
      view.requireCall(host, 'ReconnectHost_Task');
      if (read('HostSystem', host, 'runtime')?.connectionState === 'connected') {
        throw new AutomationError('already_in_desired_state', 'The host is connected already.');
      }
      await view.run('HostSystem', host.ref, 'ReconnectHost_Task', {});
    },
  }),
  operation({
    id: 'vcenter.host.disconnect',
    summary: 'Disconnects a host; its machines run on.',
    method: 'POST',
    path: '/vcenter/host/{host}',
    action: 'disconnect',
    rest: { wrap: null },
    async run({ view, path }) {
      const host = view.get('HostSystem', path.host);
      view.requireCall(host, 'DisconnectHost_Task');
      if (read('HostSystem', host, 'runtime')?.connectionState === 'disconnected') {
        throw new AutomationError('already_in_desired_state', 'The host is disconnected already.');
      }
      await view.run('HostSystem', host.ref, 'DisconnectHost_Task', {});
    },
  }),
  operation({
    id: 'vcenter.resource-pool.get',
    summary: 'One resource pool.',
    method: 'GET',
    path: '/vcenter/resource-pool/{resource_pool}',
    rest: {},
    answer: Type.Object({
      name: Type.String(),
      resource_pools: Type.Array(Type.String()),
      cpu_allocation: Type.Optional(allocation),
      memory_allocation: Type.Optional(allocation),
    }),
    run({ view, path }) {
      const pool = view.get('ResourcePool', path.resource_pool);
      const config = read('ResourcePool', pool, 'config');
      const below = read('ResourcePool', pool, 'resourcePool') ?? [];
      return defined({
        name: nameOf(pool),
        resource_pools: below.map((ref) => ref.value),
        cpu_allocation: config === undefined ? undefined : allocationInfo(config.cpuAllocation),
        memory_allocation: config === undefined ? undefined : allocationInfo(config.memoryAllocation),
      });
    },
  }),
  operation({
    id: 'vcenter.resource-pool.create',
    summary: 'Creates a resource pool in another.',
    method: 'POST',
    path: '/vcenter/resource-pool',
    rest: {},
    created: true,
    body: closed({
      name,
      parent: identifier,
      cpu_allocation: Type.Optional(allocationSpec),
      memory_allocation: Type.Optional(allocationSpec),
    }),
    answer: Type.String(),
    async run({ view, body }) {
      const parent = view.get('ResourcePool', body.parent).ref;
      const spec = data('ResourceConfigSpec', {
        cpuAllocation: allocationOf(body.cpu_allocation, defaultAllocation),
        memoryAllocation: allocationOf(body.memory_allocation, defaultAllocation),
      });
      return (await view.invoke('ResourcePool', parent, 'CreateResourcePool', { name: body.name, spec })).value;
    },
  }),
  operation({
    id: 'vcenter.resource-pool.update',
    summary: 'Renames a resource pool, or changes its shares, reservations and limits.',
    method: 'PATCH',
    path: '/vcenter/resource-pool/{resource_pool}',
    rest: {},
    body: closed({
      name: Type.Optional(name),
      cpu_allocation: Type.Optional(allocationSpec),
      memory_allocation: Type.Optional(allocationSpec),
    }),
    async run({ view, path, body }) {
      const pool = view.get('ResourcePool', path.resource_pool);
      const { name: newName, cpu_allocation: cpu, memory_allocation: memory } = body;
      const config = read('ResourcePool', pool, 'config');
      const changes = cpu !== undefined || memory !== undefined;
      await view.invoke(
        'ResourcePool',
        pool.ref,
        'UpdateConfig',
        defined({
          name: newName,
          config: changes
            ? data('ResourceConfigSpec', {
                cpuAllocation: allocationOf(cpu, config?.cpuAllocation ?? defaultAllocation),
                memoryAllocation: allocationOf(memory, config?.memoryAllocation ?? defaultAllocation),
              })
            : undefined,
        }),
      );
    },
  }),
  operation({
    id: 'vcenter.resource-pool.delete',
    summary: 'Removes a resource pool; what it holds goes to its parent.',
    method: 'DELETE',
    path: '/vcenter/resource-pool/{resource_pool}',
    rest: {},
    async run({ view, path }) {
      const pool = view.get('ResourcePool', path.resource_pool);
      await view.run('ManagedEntity', pool.ref, 'Destroy_Task', {});
    },
  }),
];

const defaultAllocation = data('ResourceAllocationInfo', {
  reservation: 0,
  expandableReservation: true,
  limit: -1,
  shares: data('SharesInfo', { level: 'normal', shares: 4_000 }),
});

function allocationOf(spec: AllocationSpec | undefined, base: ResourceAllocationInfo): ResourceAllocationInfo {
  if (spec === undefined) return base;
  if (spec.shares?.level === 'CUSTOM' && spec.shares.shares === undefined) {
    throw invalidArgument('The member shares.shares is missing.');
  }
  const level = spec.shares?.level.toLowerCase() as 'low' | 'normal' | 'high' | 'custom' | undefined;
  return data('ResourceAllocationInfo', {
    ...base,
    reservation: spec.reservation ?? base.reservation,
    expandableReservation: spec.expandable_reservation ?? base.expandableReservation,
    limit: spec.limit ?? base.limit,
    shares: level === undefined ? base.shares : data('SharesInfo', { level, shares: spec.shares?.shares ?? 0 }),
  });
}

function allocationInfo(info: ResourceAllocationInfo): Static<typeof allocation> {
  const level = (info.shares?.level ?? 'normal').toUpperCase() as 'NORMAL';
  return {
    reservation: Number(info.reservation ?? 0),
    expandable_reservation: info.expandableReservation ?? false,
    limit: Number(info.limit ?? -1),
    shares: (level as string) === 'CUSTOM' ? { level, shares: info.shares?.shares ?? 0 } : { level },
  };
}

/** Whether a datacenter holds hosts or machines. */
function holdsAnything(view: CenterView, datacenter: ManagedObject): boolean {
  const folders = [read('Datacenter', datacenter, 'hostFolder'), read('Datacenter', datacenter, 'vmFolder')];
  return folders.some((ref) => {
    const folder = ref === undefined ? undefined : view.registry.get(ref);
    return (read('Folder', folder, 'childEntity') ?? []).length > 0;
  });
}

export function idOf(result: unknown): string {
  const value = (result as ManagedObjectReference | undefined)?.value;
  if (typeof value !== 'string') throw new AutomationError('error', 'The task told no result.');
  return value;
}
