import type { ManagedObject, ManagedObjectClass, ManagedObjectReference } from '@hypostyle/vim';
import type { CenterCore } from '../center-core.ts';
import type { MachineWork } from '../machines/machine-methods.ts';
import { ownMethodsOfMachine } from '../machines/own-methods.ts';
import { entityClass } from './entity-class.ts';
import type { EntityParts } from './entity-parts.ts';

/** VirtualMachine: what its host has no word in is answered here, everything else there. */
export function machineClass(parts: EntityParts, work: MachineWork): ManagedObjectClass<'VirtualMachine'> {
  return entityClass(parts, 'VirtualMachine', {
    derived: { environmentBrowser: { from: ['runtime'], compute: (self) => environmentBrowserOf(parts.core, self) } },
    methods: work.forwarding.methods('VirtualMachine', ownMethodsOfMachine(work)),
  });
}

/** What the machine may be given is what its host's compute resource has. */
function environmentBrowserOf({ inventory }: CenterCore, self: ManagedObject): ManagedObjectReference {
  const document = inventory.find(self.ref.value);
  const host = document?.type === 'VirtualMachine' ? document.host : '';
  const compute = inventory.above(host, ['ComputeResource', 'ClusterComputeResource']);
  const value = compute?.environmentBrowser ?? '';
  return { _typeName: 'ManagedObjectReference', type: 'EnvironmentBrowser', value };
}
