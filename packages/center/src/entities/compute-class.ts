import type { ManagedObject, ManagedObjectClass, ManagedObjectReference } from '@hypostyle/vim';
import type { CenterCore } from '../center-core.ts';
import { joiningMethodsOfCluster, joiningMethodsOfStandalone } from '../joining/joining-methods.ts';
import type { RemovalWork } from '../joining/remove-host-work.ts';
import { computeSummary } from './compute-summary.ts';
import { childrenOf, entityBase } from './entity-lists.ts';

/** A host alone. */
export function computeClass(core: CenterCore, removal: RemovalWork): ManagedObjectClass<'ComputeResource'> {
  return {
    type: 'ComputeResource',
    ...entityBase(core),
    derived: derived(core),
    methods: { ...joiningMethodsOfStandalone(core, removal) },
  };
}

export function clusterClass(core: CenterCore): ManagedObjectClass<'ClusterComputeResource'> {
  return {
    type: 'ClusterComputeResource',
    ...entityBase(core),
    derived: derived(core),
    methods: { ...joiningMethodsOfCluster(core) },
  };
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
