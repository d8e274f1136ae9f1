import { hostname } from 'node:os';
import { Center, createConnector, createRemoteConnector, extensionKeyOf } from '@hypostyle/center';
import type { Store } from '@hypostyle/contracts';
import type { Host } from '@hypostyle/host';
import { AutomationFace } from '@hypostyle/rest';
import { loadSchema } from '@hypostyle/vim';
import { CenterFiles } from './center-files.ts';
import type { Home } from './home/home.ts';
import { HostWires } from './host-wires.ts';
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
  /** Where the server listens; asked once it does. */
  readonly port: () => number;
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
  const wires = new HostWires(host);
  const connector = createConnector({
    exchange: (address, request) => wires.exchange(address, request),
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
    port: options.port,
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
  const files = new CenterFiles(center, host, wires);
  return {
    registry: center.registry,
    dispatcher: center.dispatcher,
    authorizer: center.authorizer,
    sessions: center.sessions,
    leases: host.leases,
    hypervisorInfo: host.hypervisorInfo,
    automation,
    redeemConsole: (ticket) => host.redeemConsole(ticket),
    screen: (request, session) => files.screen(request, session),
    guestFile: (request) => host.guestFile(request),
    folderAccess: (session) => files.access(session),
    machineCounts: () => center.machineCounts(),
    close: async () => {
      await automation.close();
      await center.close();
      wires.close();
    },
  };
}
