import {
  type ClusterConfigInfoEx,
  data,
  type ManagedObject,
  type ManagedObjectClass,
  type ManagedObjectReference,
} from '@hypostyle/vim';
import type { CenterCore } from '../center-core.ts';
import { rulesOf } from '../containers/cluster-rules.ts';
import { joiningMethodsOfCluster, joiningMethodsOfStandalone } from '../joining/joining-methods.ts';
import type { RemovalWork } from '../joining/remove-host-work.ts';
import { clusterUsage, computeSummary } from './compute-summary.ts';
import { entityClass } from './entity-class.ts';
import { childrenOf } from './entity-lists.ts';
import type { EntityParts } from './entity-parts.ts';

/** A host alone. */
export function computeClass(parts: EntityParts, removal: RemovalWork): ManagedObjectClass<'ComputeResource'> {
  const { core, containers } = parts;
  return entityClass(parts, 'ComputeResource', {
    derived: derived(core),
    methods: {
      ReconfigureComputeResource_Task: (call, { spec, modify }) => containers.reconfigureCompute(call, spec, modify),
      ...joiningMethodsOfStandalone(core, removal),
    },
  });
}

export function clusterClass(parts: EntityParts): ManagedObjectClass<'ClusterComputeResource'> {
  const { core, containers } = parts;
  return entityClass(parts, 'ClusterComputeResource', {
    derived: {
      ...derived(core),
      configuration: { from: ['configurationEx'], compute: (self) => oldConfiguration(configurationOf(self)) },
      summaryEx: { from: ['summary'], compute: (self) => self.value('summary') },
    },
    methods: {
      ...containers.entityMethods('ClusterComputeResource'),
      ReconfigureComputeResource_Task: (call, { spec, modify }) => containers.reconfigureCompute(call, spec, modify),
      ReconfigureCluster_Task: (call, { spec, modify }) => containers.reconfigureCluster(call, spec, modify),
      FindRulesForVm: (call, { vm }) => rulesOf(configurationOf(call.self), vm),
      GetResourceUsage: (call) => clusterUsage(core, call.self),
      ...joiningMethodsOfCluster(core),
    },
  });
}

function configurationOf(self: ManagedObject): ClusterConfigInfoEx {
  return self.value('configurationEx') as ClusterConfigInfoEx;
}

/** What clients of before 2.5 read. */
function oldConfiguration({ dasConfig, dasVmConfig, drsConfig, drsVmConfig, rule }: ClusterConfigInfoEx) {
  return data('ClusterConfigInfo', {
    dasConfig,
    drsConfig,
    ...(dasVmConfig === undefined ? {} : { dasVmConfig }),
    ...(drsVmConfig === undefined ? {} : { drsVmConfig }),
    ...(rule === undefined ? {} : { rule }),
  });
}

function derived(core: CenterCore) {
  return {
    host: { from: [], compute: (self: ManagedObject) => childrenOf(core, self, ['HostSystem']) },
    datastore: { from: [], compute: (self: ManagedObject) => ofHosts(core, self, 'datastore') },
    network: { from: [], compute: (self: ManagedObject) => ofHosts(core, self, 'network') },
    summary: { from: [], compute: (self: ManagedObject) => computeSummary(core, self) },
  };
}

/** What any of the hosts has. */
function ofHosts(core: CenterCore, self: ManagedObject, property: 'datastore' | 'network'): ManagedObjectReference[] {
  const all = new Map<string, ManagedObjectReference>();
  for (const host of childrenOf(core, self, ['HostSystem'])) {
    const refs = core.registry.get(host)?.value(property) as readonly ManagedObjectReference[] | undefined;
    for (const ref of refs ?? []) all.set(ref.value, ref);
  }
  return [...all.values()];
}
