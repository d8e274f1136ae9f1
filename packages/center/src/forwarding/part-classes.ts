import type { ManagedObjectClass, ManagedTypeName, MethodTable } from '@hypostyle/vim';
import type { CenterCore } from '../center-core.ts';
import { browserMethods } from '../files/browser-methods.ts';
import type { Forwarding } from './forwarding.ts';

/** Who answers for parts of hosts: their hosts, but for what the center has a word in. */
export function partClasses(core: CenterCore, forwarding: Forwarding): (type: string) => ManagedObjectClass {
  const classes = new Map<string, ManagedObjectClass>();
  const methodsOf = (type: ManagedTypeName): MethodTable<ManagedTypeName> =>
    type === 'HostDatastoreBrowser' ? browserMethods(core, forwarding) : forwarding.methods(type);
  return (type) => {
    const known = classes.get(type);
    if (known !== undefined) return known;
    const name = type as ManagedTypeName;
    const made = { type: name, methods: methodsOf(name) } as ManagedObjectClass;
    classes.set(type, made);
    return made;
  };
}
