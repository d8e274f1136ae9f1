import type { TestContext } from 'node:test';
import { type Daemon, smallMachine } from '@hypostyle/host/testing';
import type { ManagedObjectReference } from '@hypostyle/vim';
import { HostNetwork, TestCenter } from './center-fixture.ts';

/** A center with one host of its own process, its only datacenter, and where machines of it go. */
export interface SmallCenter {
  readonly network: HostNetwork;
  /** The host. */
  readonly daemon: Daemon;
  readonly center: TestCenter;
  readonly datacenter: ManagedObjectReference<'Datacenter'>;
  readonly vmFolder: ManagedObjectReference<'Folder'>;
  readonly pool: ManagedObjectReference<'ResourcePool'>;
  /** Makes a small machine that is off. */
  create(name: string): Promise<ManagedObjectReference<'VirtualMachine'>>;
}

/** Ends with the test. */
export async function smallCenter(t: TestContext): Promise<SmallCenter> {
  const network = new HostNetwork();
  const daemon = await network.add('local');
  const center = await TestCenter.open(network, undefined, 'local');
  t.after(async () => {
    await center.close();
    await network.remove();
  });
  const [datacenter] = center.all('Datacenter');
  const [pool] = center.all('ResourcePool');
  if (datacenter === undefined || pool === undefined) throw new Error('the center has not taken its host in');
  const vmFolder = center.read(datacenter, 'vmFolder') as ManagedObjectReference<'Folder'>;
  return {
    network,
    daemon,
    center,
    datacenter,
    vmFolder,
    pool,
    async create(name) {
      const { config } = smallMachine(name) as { config: object };
      const made = await center.task(vmFolder, 'CreateVM_Task', { config, pool });
      return made as ManagedObjectReference<'VirtualMachine'>;
    },
  };
}
