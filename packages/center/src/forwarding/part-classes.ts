import type { ManagedObjectClass, ManagedTypeName, MethodTable } from '@hypostyle/vim';
import type { CenterCore } from '../center-core.ts';
import { browserMethods } from '../files/browser-methods.ts';
import { leaseMethods } from '../leases/lease-methods.ts';
import type { Forwarding } from './forwarding.ts';

/** Parts that are for everybody: what may be seen through them is decided by what is asked for. */
const open = new Set<string>(['EnvironmentBrowser', 'HostDatastoreBrowser', 'VirtualMachineSnapshot', 'HttpNfcLease']);

/** Parts whose calls the center looks at before they go on. */
const ownMethods: Readonly<Record<string, (core: CenterCore, forwarding: Forwarding) => MethodTable<ManagedTypeName>>> =
  {
    HostDatastoreBrowser: browserMethods,
    HttpNfcLease: leaseMethods,
  };

/**
 * Who answers for parts of hosts, by type and host: their hosts, but for what the center has a word in. A host's
 * manager is for those who may do with the host what it does.
 */
export function partClasses(
  core: CenterCore,
  forwarding: Forwarding,
): (type: string, host: string) => ManagedObjectClass {
  const methods = new Map<string, MethodTable<ManagedTypeName>>();
  const methodsOf = (type: ManagedTypeName): MethodTable<ManagedTypeName> => {
    const known = methods.get(type);
    if (known !== undefined) return known;
    const made = ownMethods[type]?.(core, forwarding) ?? forwarding.methods(type);
    methods.set(type, made);
    return made;
  };
  const classes = new Map<string, ManagedObjectClass>();
  return (type, host) => {
    const key = `${type} ${host}`;
    const known = classes.get(key);
    if (known !== undefined) return known;
    const name = type as ManagedTypeName;
    const entity = { _typeName: 'ManagedObjectReference', type: 'HostSystem', value: host } as const;
    const made = { type: name, methods: methodsOf(name), ...(open.has(type) ? {} : { entity: () => entity }) };
    classes.set(key, made as ManagedObjectClass);
    return made as ManagedObjectClass;
  };
}
