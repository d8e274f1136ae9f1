import { setTimeout as sleep } from 'node:timers/promises';
import type { HostConnection } from '@hypostyle/center';
import type { Host } from '@hypostyle/host';
import { createLocalCaller, data } from '@hypostyle/vim';

export interface LocalHostOptions {
  readonly host: Host;
  /** The host's own administrator. */
  readonly administrator: string;
  /** Key of the center's extension on its hosts. */
  readonly extensionKey: string;
  /** Where the center answers. */
  readonly centerUrl: () => string;
  readonly version: string;
}

/** The account of centers on a host, once the host knows that it has one. */
export const centerUser = 'vpxuser';

/** Makes connections to the host of this process: the calls that a socket would carry, without one. */
export function localHostConnector(options: LocalHostOptions): () => Promise<HostConnection> {
  const { host } = options;
  const open = (userName: string) => {
    const { session, end } = host.sessions.openInternal({ userName });
    const caller = createLocalCaller({ dispatcher: host.dispatcher, registry: host.registry, session });
    return { caller, session, end };
  };
  /** Tells the host of its center, as a center tells any host. */
  const enroll = async () => {
    const { caller, end } = open(options.administrator);
    try {
      const { extensionManager } = await caller.content();
      if (extensionManager === undefined) throw new Error('the host has no ExtensionManager');
      const key = options.extensionKey;
      if ((await caller.call(extensionManager, 'FindExtension', { extensionKey: key })) !== undefined) return;
      const description = data('Description', {
        label: 'Hypostyle center',
        summary: 'The center that manages this host',
      });
      const server = data('ExtensionServerInfo', {
        url: options.centerUrl(),
        description,
        company: 'Hypostyle',
        type: 'SOAP',
        adminEmail: [],
      });
      const extension = data('Extension', {
        key,
        type: 'VirtualCenter',
        version: options.version,
        description,
        server: [server],
        lastHeartbeatTime: new Date().toISOString(),
      });
      await caller.call(extensionManager, 'RegisterExtension', { extension });
    } finally {
      end();
    }
  };
  return async () => {
    await enroll();
    const { caller, session, end } = open(centerUser);
    const { rootFolder } = await caller.content();
    // The host gives the rights that go with it in its own time.
    for (let round = 0; !host.authorizer.holds(session, rootFolder, 'System.Read'); round += 1) {
      if (round === 500) throw new Error('the host gives its center no rights');
      await sleep(10);
    }
    return {
      content: () => caller.content(),
      call: (self, method, args, callOptions) => caller.call(self, method, args, callOptions),
      close: async () => end(),
    };
  };
}
