import { hostname } from 'node:os';
import { Center, type HostConnection, type HostConnector } from '@hypostyle/center';
import type { Store } from '@hypostyle/contracts';
import type { Host } from '@hypostyle/host';
import { AutomationFace } from '@hypostyle/rest';
import type { FolderAccess } from '@hypostyle/services';
import { fault, loadSchema, type Session } from '@hypostyle/vim';
import type { Home } from './home/home.ts';
import { localHostConnector } from './local-host-connection.ts';
import type { ServedEndpoint } from './served-endpoint.ts';

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

/** Key of the center's extension on its hosts. */
const extensionKey = 'com.hypostyle.center';

/** A center with the host of this process, and others over HTTPS. */
export async function composeCenter(options: ComposeCenterOptions): Promise<ServedEndpoint> {
  const { store, host, administrator, version, sslThumbprint, onDefect, onLog } = options;
  const local = localHostConnector({
    host,
    administrator: options.hostAdministrator,
    extensionKey,
    centerUrl: options.url,
    version,
  });
  const center = await Center.open({
    schema: loadSchema(),
    store,
    connector: localOnly(local),
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

function localOnly(local: () => Promise<HostConnection>): HostConnector {
  const none = async (): Promise<never> => {
    throw fault('NotSupported', {}, 'This center takes in no other hosts yet.');
  };
  return {
    introduce: none,
    enroll: async () => {},
    dismiss: async () => {},
    thumbprint: none,
    connect: (address) => (address.local ? local() : none()),
  };
}
