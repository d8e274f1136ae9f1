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
  /** That host as the endpoint refers to it. */
  readonly hostSystem: ManagedObjectReference<'HostSystem'>;

  private constructor(parts: Omit<Face, 'machine' | 'autoStart' | 'property' | 'task' | typeof Symbol.asyncDispose>) {
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
    this.hostSystem = parts.hostSystem;
  }

  static async open(daemon: Daemon, endpoint: Endpoint): Promise<Face> {
    const address = new URL(endpoint === 'host' ? daemon.hostUrl : daemon.url);
    const username = endpoint === 'host' ? 'root' : daemon.username;
    const { password } = daemon;
    const client = createClient({ url: `${address.origin}/sdk`, tls: { insecure: true } });
    await client.signIn(username, password);
    const home = join(daemon.home, `clients-${endpoint}`);
    await mkdir(home, { recursive: true });
    const [datacenter, host] = await Promise.all([first(client, 'Datacenter'), first(client, 'HostSystem')]);
    return new Face({
      ...{ endpoint, url: address.origin, host: address.hostname, port: Number(address.port || 443), username },
      ...{ password, home, client, datacenter: datacenter.name, hostName: host.name, hostSystem: host.ref },
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

  /** What starts and stops machines with their host. */
  autoStart(): Promise<ManagedObjectReference<'HostAutoStartManager'>> {
    return this.property(this.hostSystem, 'configManager.autoStartManager');
  }

  /** Does something to a machine, and waits for its end. */
  async task(
    machine: Machine,
    method:
      | 'PowerOnVM_Task'
      | 'PowerOffVM_Task'
      | 'SuspendVM_Task'
      | 'Destroy_Task'
      | 'RemoveAllSnapshots_Task'
      | 'ConsolidateVMDisks_Task',
  ): Promise<void> {
    await this.client.waitForTask(await this.client.call(machine, method, {}));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client[Symbol.asyncDispose]();
  }
}

async function first<T extends 'Datacenter' | 'HostSystem'>(
  client: Client,
  type: T,
): Promise<{ readonly ref: ManagedObjectReference<T>; readonly name: string }> {
  const { viewManager, rootFolder } = await client.content();
  if (viewManager === undefined) throw new Error('there is no view manager');
  const selection = { container: rootFolder, type: [type], recursive: true };
  const view = await client.call(viewManager, 'CreateContainerView', selection);
  const [listed] = await client.retrieve(view, ['view']);
  const [ref] = (listed?.values.view ?? []) as ManagedObjectReference<T>[];
  if (ref === undefined) throw new Error(`there is no ${type}`);
  const [named] = await client.retrieve(ref as ManagedObjectReference as Machine, ['name']);
  return { ref, name: `${named?.values.name}` };
}
