import type { ManagedObjectReference } from '@hypostyle/vim';
import type { ServerSession } from '../connection/server-session.ts';
import { CliError } from '../errors.ts';

/** The keeper of customization specifications. Throws `failed` at a host, which has none. */
export async function customizationSpecs({
  client,
}: ServerSession): Promise<ManagedObjectReference<'CustomizationSpecManager'>> {
  const { customizationSpecManager } = await client.content();
  if (customizationSpecManager === undefined) {
    throw new CliError('failed', 'A host keeps no customization specifications.', { next: 'Ask its center.' });
  }
  return customizationSpecManager as ManagedObjectReference<'CustomizationSpecManager'>;
}
