import type { ManagedObjectClass } from '@hypostyle/vim';
import type { MachineWork } from '../machines/machine-methods.ts';
import { ownMethodsOfMachine } from '../machines/own-methods.ts';
import { entityClass } from './entity-class.ts';
import type { EntityParts } from './entity-parts.ts';

/** VirtualMachine: what its host has no word in is answered here, everything else there. */
export function machineClass(parts: EntityParts, work: MachineWork): ManagedObjectClass<'VirtualMachine'> {
  return entityClass(parts, 'VirtualMachine', {
    methods: work.forwarding.methods('VirtualMachine', ownMethodsOfMachine(work)),
  });
}
