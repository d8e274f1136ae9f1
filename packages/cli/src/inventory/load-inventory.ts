import type { ManagedObjectReference, TraversalSpec } from '@hypostyle/vim';
import type { ServerSession } from '../connection/server-session.ts';
import { Inventory, type InventoryEntry } from './inventory.ts';

/** Each step is allowed from each object, so that folders and pools of whatever depth are walked. */
const steps = [
  ['Folder', 'childEntity'],
  ['Datacenter', 'vmFolder'],
  ['Datacenter', 'hostFolder'],
  ['Datacenter', 'datastoreFolder'],
  ['Datacenter', 'networkFolder'],
  ['ComputeResource', 'host'],
  ['ComputeResource', 'resourcePool'],
  ['ResourcePool', 'resourcePool'],
  ['VirtualApp', 'vm'],
] as const;

const selectSet: readonly TraversalSpec[] = steps.map(([type, path]) => ({
  _typeName: 'TraversalSpec',
  name: `${type}.${path}`,
  type,
  path,
  skip: false,
  selectSet: steps.map(([otherType, otherPath]) => ({ name: `${otherType}.${otherPath}` })),
}));

/** All of a server's inventory that the session may see: names and places, in as few calls as the server allows. */
export async function loadInventory({ client, content }: ServerSession): Promise<Inventory> {
  const specSet = [
    {
      objectSet: [{ obj: content.rootFolder, skip: false, selectSet }],
      propSet: [
        { type: 'ManagedEntity', pathSet: ['name', 'parent'] },
        { type: 'VirtualMachine', pathSet: ['parentVApp'] },
      ],
    },
  ];
  const entries: InventoryEntry[] = [];
  let page = await client.call(content.propertyCollector, 'RetrievePropertiesEx', { specSet, options: {} });
  while (page !== undefined) {
    for (const { obj, propSet = [] } of page.objects) entries.push(entryOf(obj as ManagedObjectReference, propSet));
    if (page.token === undefined) break;
    page = await client.call(content.propertyCollector, 'ContinueRetrievePropertiesEx', { token: page.token });
  }
  return new Inventory(content.rootFolder.value, entries);
}

function entryOf(
  ref: ManagedObjectReference,
  properties: readonly { readonly name: string; readonly val: unknown }[],
): InventoryEntry {
  const values = new Map(properties.map(({ name, val }) => [name, val]));
  const parent = idOf(values.get('parent')) ?? idOf(values.get('parentVApp'));
  return { ref, name: textOf(values.get('name')), ...(parent === undefined ? {} : { parent }) };
}

function idOf(value: unknown): string | undefined {
  const id = (value as { readonly value?: unknown } | undefined)?.value;
  return typeof id === 'string' ? id : undefined;
}

function textOf(value: unknown): string {
  if (typeof value === 'string') return value;
  return typeof value === 'object' && value !== null && '_value' in value ? String(value._value) : '';
}
