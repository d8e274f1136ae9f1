import type { ServerSession } from '../connection/server-session.ts';
import { CliError } from '../errors.ts';
import { loadInventory } from '../inventory/load-inventory.ts';
import { parseDatastorePath, readRemote } from '../logs/remote-file.ts';
import { type DeployPackage, streamed } from './deploy-package.ts';
import { datastoreArchive } from './package-place.ts';

/** Opens an OVA on a datastore of the server, `[datastore] path`: only its descriptor comes here. */
export async function openDatastorePackage(
  session: ServerSession,
  source: string,
  signal: AbortSignal,
  passphrase?: string,
): Promise<DeployPackage> {
  const { datastore, path } = parseDatastorePath(source);
  const inventory = await loadInventory(session);
  const found = inventory.find('Datastore', datastore);
  const datacenter = inventory.within(found, 'Datacenter')?.name ?? '';
  const remote = await readRemote(session, { datastore, path, datacenter }, 0, signal);
  if (remote === undefined) throw new CliError('not-found', `${source} is not there.`);
  const opened = await streamed(remote.content, { passphrase });
  return { ...opened, place: datastoreArchive(source, opened.envelope) };
}
