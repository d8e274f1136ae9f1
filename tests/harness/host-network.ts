import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { promisify } from 'node:util';
import { type Client, data, type ManagedObjectReference } from '@hypostyle/vim';
import { Daemon } from './daemon.ts';
import { endEngines } from './engines.ts';
import type { Machine } from './guest-machine.ts';

const run = promisify(execFile);
const ip = (...words: string[]) => run('ip', words);

/** Why this machine lets nobody make networks; undefined where it does. For `skip`. */
export async function networksRefused(): Promise<string | undefined> {
  const name = `hyp-probe-${process.pid}`;
  try {
    await ip('netns', 'add', name);
    await ip('-n', name, 'link', 'add', 'probe0', 'type', 'bridge');
    return undefined;
  } catch (error) {
    return `hosts have network namespaces of their own here, which only root may make: run it as root. ${`${(error as { stderr?: string }).stderr ?? error}`.trim()}`;
  } finally {
    await ip('netns', 'del', name).catch(() => {});
  }
}

/**
 * A center and hosts: each a process of its own in a network namespace of its own, all on one bridge. The test is on
 * the bridge too, and reaches all of them by their addresses, a host that is cut off from its center as well.
 *
 *     const network = await HostNetwork.make();
 *     await network.center.start();
 *     const one = await network.addHost('one');
 *     await joinHost(client, one);
 *     await one.cutOff();
 *     await network.remove(); // ends every process and engine, and takes the network away
 */
export class HostNetwork implements AsyncDisposable {
  readonly center: NetworkNode;
  readonly hosts: NetworkNode[] = [];
  readonly #number: number;
  readonly #making: Promise<unknown>[] = [];

  private constructor(number: number, centerHome: string) {
    this.#number = number;
    this.center = this.#node('center', 'center', centerHome, 2);
  }

  /** The network, with a center that is not started yet. */
  static async make(): Promise<HostNetwork> {
    const network = new HostNetwork(await makeBridge(), await homeOf('center'));
    try {
      await network.center.attach();
      // Isolated ports reach the bridge, and none of each other: a host whose port is isolated too is cut off.
      await network.center.cutOff();
      return network;
    } catch (error) {
      await network.remove();
      throw error;
    }
  }

  /** A host of that name, which runs and belongs to no center. */
  addHost(name: string): Promise<NetworkNode> {
    const made = this.#addHost(name, this.#making.length);
    this.#making.push(made);
    return made;
  }

  /** Ends all of it, whatever of it there is. */
  async remove(): Promise<void> {
    await Promise.allSettled(this.#making);
    await Promise.all([this.center, ...this.hosts].map((node) => node.remove()));
    await ip('link', 'del', bridgeName(this.#number)).catch(() => {});
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.remove();
  }

  async #addHost(name: string, index: number): Promise<NetworkNode> {
    const host = this.#node(name, 'host', await homeOf(name), index + 11);
    this.hosts.push(host);
    await host.attach();
    await host.start();
    return host;
  }

  #node(name: string, mode: 'host' | 'center', home: string, last: number): NetworkNode {
    return new NetworkNode({ name, mode, home, network: this.#number, last });
  }
}

/** A host or a center in a network namespace of its own. */
export class NetworkNode {
  readonly name: string;
  readonly mode: 'host' | 'center';
  /** IP address; it answers at port 443. */
  readonly address: string;
  /** Its folder, which is kept over restarts. */
  readonly home: string;
  readonly #bridge: string;
  readonly #namespace: string;
  /** The bridge's end of its cable. */
  readonly #link: string;
  #daemon: Daemon | undefined;

  constructor(options: {
    readonly name: string;
    readonly mode: 'host' | 'center';
    readonly home: string;
    readonly network: number;
    /** Last number of its address. */
    readonly last: number;
  }) {
    const { name, mode, home, network, last } = options;
    this.name = name;
    this.mode = mode;
    this.home = home;
    this.address = addressOf(network, last);
    this.#bridge = bridgeName(network);
    this.#namespace = `${this.#bridge}-${name}`;
    this.#link = `${this.#bridge}-${last}`;
  }

  /** Its process that was started last. */
  get daemon(): Daemon {
    if (this.#daemon === undefined) throw new Error(`${this.name} was not started yet`);
    return this.#daemon;
  }

  /** Makes its namespace, with a cable to the bridge. */
  async attach(): Promise<void> {
    const [link, namespace] = [this.#link, this.#namespace];
    await ip('netns', 'add', namespace);
    await ip('link', 'add', link, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', namespace);
    await ip('link', 'set', link, 'master', this.#bridge, 'up');
    await ip('-n', namespace, 'addr', 'add', `${this.address}/24`, 'dev', 'eth0');
    await ip('-n', namespace, 'link', 'set', 'lo', 'up');
    await ip('-n', namespace, 'link', 'set', 'eth0', 'up');
  }

  /** Starts it, or starts it again on what it kept; resolves when it answers. */
  async start(): Promise<void> {
    const { home, mode } = this;
    const listen = `${this.address}:443`;
    this.#daemon = await Daemon.start({ home, mode, listen, networkNamespace: this.#namespace });
  }

  /** Ends its process in the middle of whatever it does; machines run on. */
  async kill(): Promise<void> {
    await this.daemon.kill();
  }

  /** No byte goes between the center and this host any more; nobody learns of it but by silence. */
  async cutOff(): Promise<void> {
    await ip('link', 'set', this.#link, 'type', 'bridge_slave', 'isolated', 'on');
  }

  /** Takes that back. */
  async reach(): Promise<void> {
    await ip('link', 'set', this.#link, 'type', 'bridge_slave', 'isolated', 'off');
  }

  /** Process ids of its engines, sorted. */
  async enginePids(): Promise<number[]> {
    return (await this.daemon.engines()).map(({ pid }) => pid).sort((a, b) => a - b);
  }

  /** SHA-1 of the certificate that it shows. */
  thumbprint(): Promise<string> {
    return new Promise((resolve, reject) => {
      const socket = connect({ host: this.address, port: 443, rejectUnauthorized: false });
      socket.once('error', reject);
      socket.once('secureConnect', () => {
        const { fingerprint } = socket.getPeerCertificate();
        socket.destroy();
        resolve(fingerprint);
      });
    });
  }

  /** Ends it and its engines, deletes its home, and takes its namespace away. */
  async remove(): Promise<void> {
    await this.#daemon?.remove().catch(() => {});
    await endEngines(this.home);
    await rm(this.home, { recursive: true, force: true });
    await ip('link', 'del', this.#link).catch(() => {});
    await ip('netns', 'del', this.#namespace).catch(() => {});
  }
}

/** What a client says of a host to have it added. */
export async function connectSpecOf(host: NetworkNode) {
  return data('HostConnectSpec', {
    hostName: host.address,
    sslThumbprint: await host.thumbprint(),
    userName: host.daemon.username,
    password: host.daemon.password,
    force: false,
  });
}

/** Adds a host at a center: into a cluster, or alone into the first datacenter. Its HostSystem there. */
export async function joinHost(
  client: Client,
  host: NetworkNode,
  cluster?: ManagedObjectReference<'ClusterComputeResource'>,
): Promise<ManagedObjectReference<'HostSystem'>> {
  const spec = await connectSpecOf(host);
  if (cluster !== undefined) {
    const task = await client.call(cluster, 'AddHost_Task', { spec, asConnected: true });
    return (await client.waitForTask(task)) as ManagedObjectReference<'HostSystem'>;
  }
  const { rootFolder } = await client.content();
  const read = async <T>(object: ManagedObjectReference, path: string) => {
    const [found] = await client.retrieve(object as Machine, [path]);
    return found?.values[path] as T;
  };
  const [datacenter] = await read<ManagedObjectReference[]>(rootFolder, 'childEntity');
  if (datacenter === undefined) throw new Error('the center has no datacenter');
  const folder = await read<ManagedObjectReference<'Folder'>>(datacenter, 'hostFolder');
  const task = await client.call(folder, 'AddStandaloneHost_Task', { spec, addConnected: true });
  const compute = (await client.waitForTask(task)) as ManagedObjectReference;
  const [added] = await read<ManagedObjectReference<'HostSystem'>[]>(compute, 'host');
  if (added === undefined) throw new Error(`${host.name} is not in its compute resource`);
  return added;
}

/** Networks for measurements (RFC 2544) are nobody's. */
function addressOf(network: number, last: number): string {
  return `198.18.${network}.${last}`;
}

function bridgeName(network: number): string {
  return `hyp${network}`;
}

function homeOf(name: string): Promise<string> {
  return mkdtemp(join(tmpdir(), `hypostyle-${name}-`));
}

/** A bridge with the test on it; its name says which network is taken. */
async function makeBridge(): Promise<number> {
  for (let attempt = 0; attempt < 50; attempt += 1) {
    const number = Math.floor(Math.random() * 256);
    const name = bridgeName(number);
    try {
      await ip('link', 'add', name, 'type', 'bridge');
    } catch (error) {
      if (/exists/i.test(`${error}`)) continue;
      throw error;
    }
    await ip('addr', 'add', `${addressOf(number, 1)}/24`, 'dev', name);
    await ip('link', 'set', name, 'up');
    return number;
  }
  throw new Error('every network of the tests is taken');
}
