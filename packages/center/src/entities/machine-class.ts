import type { ManagedObjectClass } from '@hypostyle/vim';
import type { CenterCore } from '../center-core.ts';
import type { MachineWork } from '../machines/machine-methods.ts';
import { ownMethodsOfMachine } from '../machines/own-methods.ts';
import { entityBase } from './entity-lists.ts';

/** VirtualMachine: what its host has no word in is answered here, everything else there. */
export function machineClass(core: CenterCore, work: MachineWork): ManagedObjectClass<'VirtualMachine'> {
  return {
    type: 'VirtualMachine',
    ...entityBase(core),
    methods: work.forwarding.methods('VirtualMachine', ownMethodsOfMachine(work)),
  };
}
