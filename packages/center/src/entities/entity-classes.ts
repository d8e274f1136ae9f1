import { entityPerSession } from '@hypostyle/services';
import type { ManagedObject, ManagedObjectReference } from '@hypostyle/vim';
import type { CenterCore } from '../center-core.ts';
import type { Forwarding } from '../forwarding/forwarding.ts';
import { type EntityType, referenceOf } from '../inventory/entity-document.ts';
import type { EntityClasses } from '../inventory/inventory.ts';
import { computeSummary } from './compute-summary.ts';
import { poolSummary } from './pool-values.ts';

/** What every kind of entity of a center is: its lists, and who answers its methods. */
export function entityClasses(core: CenterCore, forwarding: Forwarding): EntityClasses {
  const { inventory } = core;
  const perSession = entityPerSession(core.authorizer);
  const childrenOf = (self: ManagedObject, types: readonly EntityType[]) =>
    inventory
      .children(self.ref.value)
      .filter((child) => types.includes(child.type))
      .map(referenceOf);
  const users = (self: ManagedObject) => [...inventory.uses.members(self.ref.value)].map((value) => vm(value));
  const below = (folder: ManagedObjectReference | undefined, type: EntityType): ManagedObjectReference[] =>
    inventory.children(folder?.value ?? '').flatMap((child) => {
      if (child.type === type) return [referenceOf(child)];
      return child.type === 'Folder' ? below(referenceOf(child), type) : [];
    });
  const ofHosts = (self: ManagedObject, property: 'datastore' | 'network') => {
    const all = new Map<string, ManagedObjectReference>();
    for (const host of childrenOf(self, ['HostSystem'])) {
      for (const ref of (core.registry.get(host)?.value(property) ?? []) as ManagedObjectReference[])
        all.set(ref.value, ref);
    }
    return [...all.values()];
  };
  const compute = {
    perSession,
    methods: {},
    derived: {
      host: { from: [], compute: (self: ManagedObject) => childrenOf(self, ['HostSystem']) },
      datastore: { from: [], compute: (self: ManagedObject) => ofHosts(self, 'datastore') },
      network: { from: [], compute: (self: ManagedObject) => ofHosts(self, 'network') },
      summary: { from: [], compute: (self: ManagedObject) => computeSummary(core, self) },
    },
  };
  const pool = {
    perSession,
    derived: {
      resourcePool: {
        from: [],
        compute: (self: ManagedObject) => childrenOf(self, ['ResourcePool', 'VirtualApp']),
      },
      vm: { from: [], compute: (self: ManagedObject) => inventory.machinesInPool(self.ref.value).map(referenceOf) },
      summary: { from: ['name', 'config', 'runtime'], compute: poolSummary },
    },
    methods: {},
  };
  return {
    Folder: {
      type: 'Folder',
      perSession,
      derived: {
        childEntity: { from: [], compute: (self) => inventory.children(self.ref.value).map(referenceOf) },
      },
      methods: {},
    },
    Datacenter: {
      type: 'Datacenter',
      perSession,
      derived: {
        datastore: {
          from: [],
          compute: (self) => below(self.value('datastoreFolder') as ManagedObjectReference, 'Datastore'),
        },
        network: {
          from: [],
          compute: (self) => below(self.value('networkFolder') as ManagedObjectReference, 'Network'),
        },
      },
      methods: {},
    },
    ComputeResource: { type: 'ComputeResource', ...compute },
    ClusterComputeResource: { type: 'ClusterComputeResource', ...compute },
    ResourcePool: { type: 'ResourcePool', ...pool },
    VirtualApp: { type: 'VirtualApp', ...pool },
    HostSystem: {
      type: 'HostSystem',
      perSession,
      derived: {
        vm: { from: [], compute: (self) => inventory.machinesOnHost(self.ref.value).map(referenceOf) },
      },
      methods: forwarding.methods('HostSystem'),
    },
    VirtualMachine: {
      type: 'VirtualMachine',
      perSession,
      methods: forwarding.methods('VirtualMachine'),
    },
    Datastore: {
      type: 'Datastore',
      perSession,
      derived: { vm: { from: [], compute: users } },
      methods: forwarding.methods('Datastore'),
    },
    Network: {
      type: 'Network',
      perSession,
      derived: { vm: { from: [], compute: users } },
      methods: forwarding.methods('Network'),
    },
  };
}

function vm(value: string): ManagedObjectReference<'VirtualMachine'> {
  return { _typeName: 'ManagedObjectReference', type: 'VirtualMachine', value };
}
