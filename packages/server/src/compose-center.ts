import { hostname } from 'node:os';
import { Center, createConnector, createRemoteConnector, extensionKeyOf } from '@hypostyle/center';
import type { Store } from '@hypostyle/contracts';
import type { Host } from '@hypostyle/host';
import { AutomationFace } from '@hypostyle/rest';
import type { FolderAccess } from '@hypostyle/services';
import { loadSchema, type Session } from '@hypostyle/vim';
import type { Home } from './home/home.ts';
import { localHostConnector } from './local-host-connection.ts';
import type { ServedEndpoint } from './served-endpoint.ts';
import { loadClientMaterial } from './tls/client-material.ts';

export interface ComposeCenterOptions {
  readonly home: Home;
  readonly store: Store;
  /** The host of this process. */
  readonly host: Host;
  readonly hostAdministrator: string;
  readonly administrator: { readonly userName: string; readonly password: string };
  readonly version: string;
  readonly url: () => string;
  readonly sslThumbprint: () => string;
  readonly onDefect: (where: string, error: unknown) => void;
  readonly onLog: (what: string, why: unknown) => void;
}

/** A center with the host of this process, and others over HTTPS. */
export async function composeCenter(options: ComposeCenterOptions): Promise<ServedEndpoint> {
  const { store, host, administrator, version, sslThumbprint, onDefect, onLog } = options;
  const schema = loadSchema();
  const { certificate, key: privateKey } = await loadClientMaterial(options.home, `Hypostyle center ${hostname()}`);
  const known = { extensionKey: extensionKeyOf(certificate), centerUrl: options.url, version };
  const connector = createConnector({
    local: localHostConnector({ ...known, host, administrator: options.hostAdministrator }),
    remote: createRemoteConnector({ ...known, schema, certificate, privateKey }),
  });
  const center = await Center.open({
    schema,
    store,
    connector,
    localHost: hostname(),
    administrator,
    version,
    sslThumbprint,
    onDefect,
    onLog,
  });
  const automation = new AutomationFace({
    registry: center.registry,
    dispatcher: center.dispatcher,
    authorizer: center.authorizer,
    sessions: center.sessions,
    persistence: store,
    rootFolder: center.rootFolder,
    product: center.about,
    onDefect,
  });
  return {
    registry: center.registry,
    dispatcher: center.dispatcher,
    authorizer: center.authorizer,
    sessions: center.sessions,
    leases: host.leases,
    hypervisorInfo: host.hypervisorInfo,
    automation,
    redeemConsole: (ticket) => host.redeemConsole(ticket),
    folderAccess: (session) => localFiles(center, host, session),
    machineCounts: () => center.machineCounts(),
    close: async () => {
      await automation.close();
      await center.close();
    },
  };
}

/** Files of the local host's datastores, by the center's rights on them. */
function localFiles(center: Center, host: Host, session: Session | undefined): FolderAccess {
  const datastoreOf = (name: string) =>
    [...center.registry.all('Datastore')].find((object) => object.value('name') === name);
  const files = host.folderAccess(session);
  return {
    ...files,
    datacenters: () => [...center.registry.all('Datacenter')].map((object) => object.value('name') as string),
    authorize: (name, privilege) => {
      if (session === undefined) return 'unauthenticated';
      const object = name === undefined ? center.rootFolder : datastoreOf(name)?.ref;
      if (object === undefined) return 'ok';
      return center.authorizer.holds(session, object, privilege) ? 'ok' : 'denied';
    },
  };
}
