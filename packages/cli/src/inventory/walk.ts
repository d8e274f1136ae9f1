import type { ManagedObjectReference, TraversalSpec } from '@hypostyle/vim';
import type { ServerSession } from '../connection/server-session.ts';

/** An object of the inventory by name. */
export interface NamedObject<T extends NamedType> {
  readonly ref: ManagedObjectReference<T>;
  readonly name: string;
}

type NamedType =
  | 'VirtualMachine'
  | 'Datastore'
  | 'Network'
  | 'ComputeResource'
  | 'HostSystem'
  | 'Datacenter'
  | 'Folder';

/** Each step is allowed from each object, so that folders of whatever depth are walked. */
const steps = [
  ['Folder', 'childEntity'],
  ['Datacenter', 'vmFolder'],
  ['Datacenter', 'hostFolder'],
  ['Datacenter', 'datastore'],
  ['Datacenter', 'network'],
  ['ComputeResource', 'host'],
] as const;

const selectSet: readonly TraversalSpec[] = steps.map(([type, path]) => ({
  _typeName: 'TraversalSpec',
  name: `${type}.${path}`,
  type,
  path,
  skip: false,
  selectSet: steps.map(([otherType, otherPath]) => ({ name: `${otherType}.${otherPath}` })),
}));

/** Every object of a type in the inventory, with its name. */
export async function listObjects<T extends NamedType>(
  { client, content }: ServerSession,
  type: T,
): Promise<NamedObject<T>[]> {
  const specSet = [
    { objectSet: [{ obj: content.rootFolder, skip: false, selectSet }], propSet: [{ type, pathSet: ['name'] }] },
  ];
  const found: NamedObject<T>[] = [];
  let page = await client.call(content.propertyCollector, 'RetrievePropertiesEx', { specSet, options: {} });
  while (page !== undefined) {
    for (const { obj, propSet = [] } of page.objects) {
      const name = propSet.find((property) => property.name === 'name')?.val;
      found.push({ ref: obj as ManagedObjectReference<T>, name: decodeName(textOf(name)) });
    }
    if (page.token === undefined) break;
    page = await client.call(content.propertyCollector, 'ContinueRetrievePropertiesEx', { token: page.token });
  }
  return found.sort((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true }));
}

function textOf(value: unknown): string {
  if (typeof value === 'string') return value;
  return typeof value === 'object' && value !== null && '_value' in value ? String(value._value) : '';
}

/** Names carry `/`, `\` and `%` escaped. */
export function decodeName(name: string): string {
  return name.replace(/%(2f|5c|25)/gi, (_match, code: string) => String.fromCharCode(Number.parseInt(code, 16)));
}
