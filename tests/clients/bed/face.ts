import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Client, ManagedObjectReference } from '@hypostyle/vim';
import { createClient } from '@hypostyle/vim';
import type { Daemon } from '../../harness/daemon.ts';
import type { Machine } from '../../harness/guest-machine.ts';
import type { Endpoint } from './case.ts';

/** One endpoint of the daemon, as a person has its address and a password. */
export class Face implements AsyncDisposable {
  readonly endpoint: Endpoint;
  readonly url: string;
  readonly host: string;
  readonly port: number;
  readonly username: string;
  readonly password: string;
  /** Folder for what clients keep between runs. */
  readonly home: string;
  /** Our own client, which prepares machines and looks at them. */
  readonly client: Client;
  readonly datacenter: string;
  /** Name of the host that the machines are on. */
  readonly hostName: string;

  private constructor(parts: Omit<Face, 'machine' | 'property' | 'task' | typeof Symbol.asyncDispose>) {
    this.endpoint = parts.endpoint;
    this.url = parts.url;
    this.host = parts.host;
    this.port = parts.port;
    this.username = parts.username;
    this.password = parts.password;
    this.home = parts.home;
    this.client = parts.client;
    this.datacenter = parts.datacenter;
    this.hostName = parts.hostName;
  }

  static async open(daemon: Daemon, endpoint: Endpoint): Promise<Face> {
    const address = new URL(endpoint === 'host' ? daemon.hostUrl : daemon.url);
    const username = endpoint === 'host' ? 'root' : daemon.username;
    const { password } = daemon;
    const client = createClient({ url: `${address.origin}/sdk`, tls: { insecure: true } });
    await client.signIn(username, password);
    const home = join(daemon.home, `clients-${endpoint}`);
    await mkdir(home, { recursive: true });
    const names = await Promise.all(['Datacenter', 'HostSystem'].map((type) => firstName(client, type)));
    const [datacenter = '', hostName = ''] = names;
    return new Face({
      ...{ endpoint, url: address.origin, host: address.hostname, port: Number(address.port || 443), username },
      ...{ password, home, client, datacenter, hostName },
    });
  }

  /** A machine by its name. */
  async machine(name: string): Promise<Machine> {
    const { searchIndex } = await this.client.content();
    if (searchIndex === undefined) throw new Error('there is no search index');
    const inventoryPath = `${this.datacenter}/vm/${name}`;
    const found = await this.client.call(searchIndex, 'FindByInventoryPath', { inventoryPath });
    if (found === undefined || found === null) throw new Error(`there is no ${inventoryPath}`);
    return found as Machine;
  }

  async property<T>(object: ManagedObjectReference, path: string): Promise<T> {
    const [found] = await this.client.retrieve(object as Machine, [path]);
    return found?.values[path] as T;
  }

  /** Does something to a machine, and waits for its end. */
  async task(
    machine: Machine,
    method: 'PowerOnVM_Task' | 'PowerOffVM_Task' | 'SuspendVM_Task' | 'Destroy_Task' | 'RemoveAllSnapshots_Task',
  ): Promise<void> {
    await this.client.waitForTask(await this.client.call(machine, method, {}));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client[Symbol.asyncDispose]();
  }
}

async function firstName(client: Client, type: string): Promise<string> {
  const { viewManager, rootFolder } = await client.content();
  if (viewManager === undefined) throw new Error('there is no view manager');
  const selection = { container: rootFolder, type: [type], recursive: true };
  const view = await client.call(viewManager, 'CreateContainerView', selection);
  const [listed] = await client.retrieve(view, ['view']);
  const [first] = (listed?.values.view ?? []) as ManagedObjectReference[];
  if (first === undefined) throw new Error(`there is no ${type}`);
  const [named] = await client.retrieve(first as Machine, ['name']);
  return `${named?.values.name}`;
}
