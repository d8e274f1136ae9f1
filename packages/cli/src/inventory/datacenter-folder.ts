import type { ServerSession } from '../connection/server-session.ts';
import { CliError } from '../errors.ts';
import type { Inventory, InventoryObject } from './inventory.ts';

/** The folder of a datacenter for machines, hosts, datastores or networks. */
export async function datacenterFolder(
  { client }: ServerSession,
  inventory: Inventory,
  datacenter: InventoryObject<'Datacenter'>,
  property: 'vmFolder' | 'hostFolder' | 'datastoreFolder' | 'networkFolder',
): Promise<InventoryObject<'Folder'>> {
  const [found] = await client.retrieve(datacenter.ref, [property]);
  const folder = inventory.byId((found?.values[property] as { readonly value: string } | undefined)?.value ?? '');
  if (folder !== undefined) return folder as InventoryObject<'Folder'>;
  throw new CliError('failed', `${datacenter.path} does not show its folders.`, {
    next: 'The account may lack rights; sign in as somebody else with --username.',
  });
}
