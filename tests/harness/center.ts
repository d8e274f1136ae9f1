import { hostname } from 'node:os';
import type { Client, ManagedObjectReference, VirtualMachineConfigSpec } from '@hypostyle/vim';
import type { Daemon } from './daemon.ts';
import {
  type GuestMachineOptions,
  guestSpec,
  type Machine,
  placeGuestDisk,
  propertyOf,
  signedIn,
} from './guest-machine.ts';

/** A host as its center shows it, and where machines of it go. */
export interface CenterHost {
  readonly reference: ManagedObjectReference<'HostSystem'>;
  readonly name: string;
  readonly connectionState: string;
  readonly compute: ManagedObjectReference<'ComputeResource'>;
  readonly pool: ManagedObjectReference<'ResourcePool'>;
}

/** A center, by a client that is signed in. */
export class Center implements AsyncDisposable {
  readonly client: Client;
  readonly daemon: Daemon;

  constructor(client: Client, daemon: Daemon) {
    this.client = client;
    this.daemon = daemon;
  }

  /** A property of one object. */
  async property<T>(object: ManagedObjectReference, path: string): Promise<T> {
    return propertyOf<T>(this.client, object, path);
  }

  /** Every object of a type, wherever it lies. */
  async all<T extends 'HostSystem' | 'VirtualMachine' | 'Datastore' | 'Folder' | 'ResourcePool' | 'Datacenter'>(
    type: T,
  ): Promise<ManagedObjectReference<T>[]> {
    const { viewManager, rootFolder } = await this.client.content();
    if (viewManager === undefined) throw new Error('there is no view manager');
    const selection = { container: rootFolder, type: [type], recursive: true };
    const view = await this.client.call(viewManager, 'CreateContainerView', selection);
    try {
      return (await this.property<ManagedObjectReference<T>[] | undefined>(view, 'view')) ?? [];
    } finally {
      await this.client.call(view, 'DestroyView', {});
    }
  }

  /** Hosts in the order of their names. */
  async hosts(): Promise<CenterHost[]> {
    const hosts = await this.all('HostSystem');
    const found =
      hosts.length === 0 ? [] : await this.client.retrieve(hosts, ['name', 'parent', 'runtime.connectionState']);
    const read = found.map(async ({ ref, values }) => {
      const compute = values.parent as ManagedObjectReference<'ComputeResource'>;
      return {
        reference: ref as CenterHost['reference'],
        name: `${values.name}`,
        connectionState: `${values['runtime.connectionState']}`,
        compute,
        pool: await this.property<CenterHost['pool']>(compute, 'resourcePool'),
      };
    });
    return (await Promise.all(read)).sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** The center's own host. */
  async localHost(): Promise<CenterHost> {
    const host = (await this.hosts()).find(({ name }) => name === hostname());
    if (host === undefined) throw new Error('the center has no host of its own');
    return host;
  }

  /** The machine folder of the datacenter that was made first. */
  async machineFolder(): Promise<ManagedObjectReference<'Folder'>> {
    const [datacenter] = await this.all('Datacenter');
    if (datacenter === undefined) throw new Error('there is no datacenter');
    return this.property(datacenter, 'vmFolder');
  }

  /** Machines by name; two of one name are an error. */
  async machines(): Promise<Map<string, Machine>> {
    const machines = await this.all('VirtualMachine');
    const found = machines.length === 0 ? [] : await this.client.retrieve(machines, ['name']);
    const named = new Map(found.map(({ ref, values }) => [`${values.name}`, ref]));
    if (named.size !== machines.length) throw new Error(`names that are not one machine's: ${[...named.keys()]}`);
    return named;
  }

  /** Creates a machine on a host, in a folder: the datacenter's own unless told. */
  async create(
    config: VirtualMachineConfigSpec,
    at: { readonly host?: CenterHost; readonly folder?: ManagedObjectReference<'Folder'> } = {},
  ): Promise<Machine> {
    const host = at.host ?? (await this.localHost());
    const folder = at.folder ?? (await this.machineFolder());
    const { pool, reference } = host;
    const task = await this.client.call(folder, 'CreateVM_Task', { config, pool, host: reference });
    return (await this.client.waitForTask(task)) as Machine;
  }

  /** Creates a machine that boots the test guest; its disk is written into the host's own datastore. */
  async createGuest(
    options: GuestMachineOptions,
    at: { readonly host?: CenterHost; readonly daemon?: Daemon; readonly datastore?: string } = {},
  ): Promise<Machine> {
    const { datastore = 'datastore1', daemon = this.daemon, host } = at;
    const folder = `images-${options.name}`;
    await placeGuestDisk(daemon, folder, options.agent ?? false);
    return this.create(
      guestSpec(options, `[${datastore}] ${folder}/boot.vmdk`, datastore),
      host === undefined ? {} : { host },
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client[Symbol.asyncDispose]();
  }
}

/** Signs in at a center. */
export async function centerOf(daemon: Daemon): Promise<Center> {
  return new Center(await signedIn(daemon), daemon);
}
