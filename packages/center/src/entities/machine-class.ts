import type { ManagedObjectClass } from '@hypostyle/vim';
import type { CenterCore } from '../center-core.ts';
import type { Forwarding } from '../forwarding/forwarding.ts';
import { entityBase } from './entity-lists.ts';

/** VirtualMachine: what its host has no word in is answered here, everything else there. */
export function machineClass(core: CenterCore, forwarding: Forwarding): ManagedObjectClass<'VirtualMachine'> {
  return { type: 'VirtualMachine', ...entityBase(core), methods: forwarding.methods('VirtualMachine') };
}
