import { open, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { type Computer, type Daemon, smallMachine } from '@hypostyle/host/testing';
import { type ManagedObjectReference, MemoryPersistence } from '@hypostyle/vim';
import { HostNetwork, TestCenter } from './center-fixture.ts';

/** A center with two hosts that share nothing, and a datacenter for both. */
export interface TwoHosts {
  readonly network: HostNetwork;
  readonly center: TestCenter;
  /** The center's own store. */
  readonly disk: MemoryPersistence;
  /** The host that machines are made on, and the other one. */
  readonly here: Computer;
  readonly there: Computer;
  readonly pool: ManagedObjectReference<'ResourcePool'>;
  readonly datastore: ManagedObjectReference<'Datastore'>;
  readonly farHost: ManagedObjectReference<'HostSystem'>;
  readonly farPool: ManagedObjectReference<'ResourcePool'>;
  readonly farDatastore: ManagedObjectReference<'Datastore'>;
  readonly vmFolder: ManagedObjectReference<'Folder'>;
  /** Makes a small machine that is off. */
  create(name: string, by?: TestCenter): Promise<ManagedObjectReference<'VirtualMachine'>>;
  /** Writes some bytes here and there into a disk that no engine has; all of it. */
  writeDisk(computer: Computer, path: string): Promise<Buffer>;
  readDisk(computer: Computer, path: string): Promise<Buffer>;
  /** The process of a host, `local` or `far`, as it is now. */
  daemon(name: string): Daemon;
  /** Every file of the host's datastore. */
  filesOf(computer: Computer): Promise<string[]>;
}

/** Ends with the test. */
export async function twoHosts(t: TestContext): Promise<TwoHosts> {
  const network = new HostNetwork();
  await network.add('local');
  await network.add('far');
  const [here, there] = ['local', 'far'].map((name) => network.computers.get(name)) as [Computer, Computer];
  const disk = new MemoryPersistence();
  const center = await TestCenter.open(network, disk, 'local');
  t.after(async () => {
    await center.close();
    await network.remove();
  });
  await center.addHost('far');
  const [datacenter] = center.all('Datacenter');
  if (datacenter === undefined) throw new Error('there is no datacenter');
  const farHost = center.named('HostSystem', 'far');
  const nearHost = center.all('HostSystem').find(({ value }) => value !== farHost.value);
  if (nearHost === undefined) throw new Error('there is one host only');
  const vmFolder = center.read(datacenter, 'vmFolder') as ManagedObjectReference<'Folder'>;
  const poolOf = (host: ManagedObjectReference<'HostSystem'>) => {
    const compute = center.read(host, 'parent') as ManagedObjectReference<'ComputeResource'>;
    return center.read(compute, 'resourcePool') as ManagedObjectReference<'ResourcePool'>;
  };
  const pool = poolOf(nearHost);
  const datastoreOf = (host: ManagedObjectReference<'HostSystem'>) =>
    (center.read(host, 'datastore') ?? [])[0] as ManagedObjectReference<'Datastore'>;
  const flat = (computer: Computer, path: string) => join(computer.datastore, path.replace(/\.vmdk$/, '-flat.vmdk'));
  return {
    network,
    center,
    disk,
    here,
    there,
    pool,
    datastore: datastoreOf(nearHost),
    farHost,
    farPool: poolOf(farHost),
    farDatastore: datastoreOf(farHost),
    vmFolder,
    async create(name, by = center) {
      const { config } = smallMachine(name) as { config: object };
      const made = await by.task(vmFolder, 'CreateVM_Task', { config, pool });
      return made as ManagedObjectReference<'VirtualMachine'>;
    },
    async writeDisk(computer, path) {
      const file = await open(flat(computer, path), 'r+');
      try {
        const { size } = await file.stat();
        for (const at of [0, 70_000, 900_000, size - 512]) await file.write(Buffer.from(`bytes at ${at}`), 0, null, at);
      } finally {
        await file.close();
      }
      return readFile(flat(computer, path));
    },
    readDisk: (computer, path) => readFile(flat(computer, path)),
    daemon: (name) => network.daemons.get(name) as Daemon,
    async filesOf(computer) {
      const found = await readdir(computer.datastore, { recursive: true });
      return found.sort();
    },
  };
}
