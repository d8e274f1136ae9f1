import { createHash, X509Certificate } from 'node:crypto';
import {
  type Caller,
  type Client,
  ClientError,
  type ClientTls,
  createClient,
  data,
  type Extension,
  fault,
  retrieve,
  type Schema,
} from '@hypostyle/vim';
import { boundedCaller } from '../hosts/connection/bounded-caller.ts';
import type { HostConnection, HostConnector, HostCredentials } from '../hosts/connection/host-connection.ts';
import type { HostAddress } from '../inventory/entity-document.ts';
import { contactTime, noHost, readHostCertificate, sameThumbprint, sslVerifyFault } from './host-certificate.ts';

export interface RemoteConnectorOptions {
  readonly schema: Schema;
  /** PEM, by which hosts know this center. */
  readonly certificate: string;
  /** Of `certificate`, PEM. */
  readonly privateKey: string;
  /** Key of this center's extension on its hosts: another center has another one. `extensionKeyOf` makes one. */
  readonly extensionKey: string;
  /** Where this center answers, as its hosts tell it to others. */
  readonly centerUrl: () => string;
  readonly version: string;
  /** Milliseconds without a byte after which a call is given up; 120,000 unless told. */
  readonly timeout?: number;
}

type RemoteAddress = Extract<HostAddress, { readonly local: false }>;

/** A key that no other center has, from the certificate that no other center has. */
export function extensionKeyOf(certificate: string): string {
  const digest = createHash('sha256').update(new X509Certificate(certificate).raw).digest('hex');
  return `com.hypostyle.center.${digest.slice(0, 16)}`;
}

/** Reaches hosts over HTTPS: by a password at first, by the center's certificate from then on. */
export function createRemoteConnector(options: RemoteConnectorOptions): Omit<HostConnector, 'exchange'> {
  return new RemoteConnector(options);
}

class RemoteConnector implements Omit<HostConnector, 'exchange'> {
  readonly #options: RemoteConnectorOptions;
  /** Sessions that were not signed out of, by address: the way to their host broke. */
  readonly #left = new Map<string, string>();

  constructor(options: RemoteConnectorOptions) {
    this.#options = options;
  }

  async thumbprint(host: string, port: number): Promise<string> {
    return (await readHostCertificate(host, port)).thumbprint;
  }

  introduce(address: HostAddress, { userName, password }: HostCredentials): Promise<HostConnection> {
    return this.#open(remote(address), {}, AbortSignal.timeout(contactTime), async (caller) => {
      const { sessionManager } = await caller.content();
      if (sessionManager === undefined) throw new ClientError('not-understood', 'there is no SessionManager');
      return caller.call(sessionManager, 'Login', { userName, password });
    });
  }

  async connect(address: HostAddress, stop?: AbortSignal): Promise<HostConnection> {
    const { certificate, privateKey, extensionKey } = this.#options;
    const at = remote(address);
    const patience = AbortSignal.timeout(contactTime);
    const signal = stop === undefined ? patience : AbortSignal.any([stop, patience]);
    return this.#open(at, { certificate, privateKey }, signal, async (caller) => {
      const { sessionManager } = await caller.content();
      if (sessionManager === undefined) throw new ClientError('not-understood', 'there is no SessionManager');
      const session = await caller.call(sessionManager, 'LoginExtensionByCertificate', { extensionKey });
      const left = this.#left.get(key(at));
      this.#left.set(key(at), session.key);
      // What the session before left behind goes with it; it may have ended by itself.
      if (left !== undefined)
        await caller.call(sessionManager, 'TerminateSession', { sessionId: [left] }).catch(() => {});
      return session;
    });
  }

  async enroll(connection: HostConnection, force: boolean): Promise<void> {
    const { extensionKey, certificate } = this.#options;
    const { extensionManager } = await connection.content();
    if (extensionManager === undefined) throw notManageable();
    const [found] = await retrieve(connection, [extensionManager], ['extensionList']);
    const others = (found?.values.extensionList ?? []).filter(isCenter);
    const manager = newest(others);
    if (manager !== undefined && manager.key !== extensionKey && !force) {
      const ipAddress = hostOf(manager.server?.[0]?.url ?? '');
      throw fault(
        'AlreadyBeingManaged',
        { ipAddress },
        `The center at ${ipAddress} manages the host already; take it from there with force.`,
      );
    }
    const extension = this.#extension(extensionKey);
    const known = others.some(({ key: other }) => other === extensionKey);
    if (known) await connection.call(extensionManager, 'UpdateExtension', { extension });
    else await connection.call(extensionManager, 'RegisterExtension', { extension });
    await connection.call(extensionManager, 'SetExtensionCertificate', { extensionKey, certificatePem: certificate });
  }

  async dismiss(connection: HostConnection): Promise<void> {
    const { extensionKey } = this.#options;
    const { extensionManager } = await connection.content();
    if (extensionManager === undefined) return;
    if ((await connection.call(extensionManager, 'FindExtension', { extensionKey })) === undefined) return;
    await connection.call(extensionManager, 'UnregisterExtension', { extensionKey });
  }

  async #open(
    address: RemoteAddress,
    own: Pick<ClientTls, 'certificate' | 'privateKey'>,
    signal: AbortSignal,
    signIn: (caller: Caller) => Promise<unknown>,
  ): Promise<HostConnection> {
    const { schema, timeout = 120_000, version } = this.#options;
    const client = createClient({
      url: `https://${authority(address)}/sdk`,
      tls: { fingerprint: address.thumbprint, ...own },
      schema,
      timeout,
      userAgent: `hypostyle-center/${version}`,
    });
    try {
      await signIn(boundedCaller(client, signal));
      return this.#connection(client, address);
    } catch (error) {
      await client[Symbol.asyncDispose]();
      throw await contactFault(error, address);
    }
  }

  #connection(client: Client, address: RemoteAddress): HostConnection {
    return {
      content: () => client.content(),
      call: (self, method, args, options) => client.call(self, method, args, options),
      close: async () => {
        try {
          const { sessionManager } = await client.content();
          if (sessionManager === undefined) return;
          await client.call(sessionManager, 'Logout', {}, { signal: AbortSignal.timeout(1_000) });
          this.#left.delete(key(address));
        } catch {
          // The next connection ends what this one could not.
        } finally {
          await client[Symbol.asyncDispose]();
        }
      },
    };
  }

  #extension(extensionKey: string): Extension {
    const { centerUrl, version } = this.#options;
    const description = data('Description', {
      label: 'Hypostyle center',
      summary: 'The center that manages this host',
    });
    const server = data('ExtensionServerInfo', {
      url: centerUrl(),
      description,
      company: 'Hypostyle',
      type: 'SOAP',
      adminEmail: [],
    });
    return data('Extension', {
      key: extensionKey,
      type: 'VirtualCenter',
      version,
      description,
      server: [server],
      lastHeartbeatTime: new Date().toISOString(),
    });
  }
}

function remote(address: HostAddress): RemoteAddress {
  if (address.local) throw new TypeError('the host of this process has no address');
  return address;
}

function key(address: RemoteAddress): string {
  return authority(address);
}

/** `host:port`, with brackets around IPv6. */
function authority({ host, port }: RemoteAddress): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}

function isCenter({ type }: Extension): boolean {
  return type === 'VirtualCenter';
}

/** The center that was registered last is the one that manages. */
function newest(centers: readonly Extension[]): Extension | undefined {
  return [...centers].sort((a, b) => Date.parse(b.lastHeartbeatTime) - Date.parse(a.lastHeartbeatTime))[0];
}

function hostOf(url: string): string {
  return URL.canParse(url) ? new URL(url).hostname.replace(/^\[|\]$/g, '') : '';
}

function notManageable() {
  return fault('HostConnectFault', {}, 'The host lets no center manage it: it has no ExtensionManager.');
}

/** Faults as they are; for anything else what it says of the host. */
async function contactFault(error: unknown, address: RemoteAddress): Promise<unknown> {
  const { host, port, thumbprint } = address;
  if (error instanceof DOMException && error.name === 'TimeoutError') return noHost(host, 'it does not answer');
  if (!(error instanceof ClientError)) return error;
  if (error.code === 'not-understood' || error.code === 'too-large')
    return fault('HostConnectFault', {}, `What answers at ${host} is no host: ${error.message}`);
  if (error.code !== 'certificate') return noHost(host, error.message);
  try {
    const shown = await readHostCertificate(host, port);
    return sameThumbprint(shown.thumbprint, thumbprint) ? error : sslVerifyFault(host, shown);
  } catch (reason) {
    return reason;
  }
}
