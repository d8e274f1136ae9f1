import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { bootableDisk } from '@hypostyle/contracts/testing';
import {
  type Client,
  createClient,
  data,
  type ManagedObjectReference,
  type VirtualDevice,
  type VirtualDeviceConfigSpec,
  type VirtualMachineConfigSpec,
} from '@hypostyle/vim';
import type { Daemon } from './daemon.ts';

export type Machine = ManagedObjectReference<'VirtualMachine'>;

export const references = {
  vmFolder: { type: 'Folder', value: 'ha-folder-vm' },
  rootPool: { type: 'ResourcePool', value: 'ha-root-pool' },
} as const;

/** A client that is signed in; it signs out when disposed of. */
export async function signedIn(daemon: Daemon): Promise<Client> {
  const client = createClient({ url: `${daemon.url}/sdk`, tls: { insecure: true } });
  await client.signIn(daemon.username, daemon.password);
  return client;
}

/** One property of an object. */
export async function propertyOf<T>(client: Client, object: ManagedObjectReference, path: string): Promise<T> {
  const [found] = await client.retrieve(object as Machine, [path]);
  return found?.values[path] as T;
}

export interface GuestMachineOptions {
  readonly name: string;
  readonly memoryMiB?: number;
  /** Has the guest agent. */
  readonly agent?: boolean;
  /** Where its disk hangs: an emulated firmware reads several times as fast from SCSI. Default: IDE. */
  readonly controller?: 'scsi' | 'ide';
}

/** Creates a machine whose disk boots the test guest, with a serial port and a network card; it is off. */
export async function createGuest(client: Client, daemon: Daemon, options: GuestMachineOptions): Promise<Machine> {
  const folder = `images-${options.name}`;
  await placeGuestDisk(daemon, folder, options.agent ?? false);
  return createMachine(client, guestSpec(options, `[datastore1] ${folder}/boot.vmdk`));
}

/** The first bus, which a firmware boots from; a test's own disks have others. */
const bootController = data('ParaVirtualSCSIController', { key: -4, busNumber: 0, sharedBus: 'noSharing' });

/** A machine with a disk that is there, a serial port and a network card, in a folder of its name on a datastore. */
export function guestSpec(
  { name, memoryMiB = 192, controller = 'ide' }: GuestMachineOptions,
  disk: string,
  datastore = 'datastore1',
): VirtualMachineConfigSpec {
  return {
    ...machineSpec(name, memoryMiB),
    files: { _typeName: 'VirtualMachineFileInfo', vmPathName: `[${datastore}]` },
    deviceChange: [
      ...(controller === 'ide' ? [] : [added(bootController)]),
      added(
        data('VirtualDisk', {
          key: -1,
          controllerKey: controller === 'ide' ? 200 : -4,
          unitNumber: 0,
          capacityInKB: 0,
          backing: data('VirtualDiskFlatVer2BackingInfo', { fileName: disk, diskMode: 'persistent' }),
        }),
      ),
      added(
        data('VirtualVmxnet3', {
          key: -2,
          backing: data('VirtualEthernetCardNetworkBackingInfo', { deviceName: 'VM Network' }),
        }),
      ),
      added(
        data('VirtualSerialPort', {
          key: -3,
          yieldOnPoll: true,
          backing: data('VirtualSerialPortDeviceBackingInfo', { deviceName: '' }),
        }),
      ),
    ],
  };
}

export function added(device: VirtualDevice): VirtualDeviceConfigSpec {
  return { _typeName: 'VirtualDeviceConfigSpec', operation: 'add', device };
}

/** What every machine of the tests has; devices are added to it. */
export function machineSpec(name: string, memoryMiB = 64): VirtualMachineConfigSpec {
  return {
    _typeName: 'VirtualMachineConfigSpec',
    name,
    guestId: 'otherLinux64Guest',
    numCPUs: 1,
    memoryMB: memoryMiB,
    files: { _typeName: 'VirtualMachineFileInfo', vmPathName: '[datastore1]' },
  };
}

export async function createMachine(client: Client, spec: VirtualMachineConfigSpec): Promise<Machine> {
  const { vmFolder, rootPool } = references;
  const task = await client.call(vmFolder, 'CreateVM_Task', { config: spec, pool: rootPool });
  return (await client.waitForTask(task)) as Machine;
}

/** Powers a machine on and waits until it is. */
export async function powerOn(client: Client, machine: Machine): Promise<void> {
  await client.waitForTask(await client.call(machine, 'PowerOnVM_Task', {}));
}

/** Writes a flat disk that boots the test guest, as `boot.vmdk` in a folder of the datastore. */
export async function placeGuestDisk(daemon: Daemon, folder: string, agent: boolean): Promise<void> {
  const directory = join(daemon.datastore, folder);
  await mkdir(directory, { recursive: true });
  await copyFile(await bootableDisk({ agent }), join(directory, 'boot-flat.vmdk'));
  await writeFile(
    join(directory, 'boot.vmdk'),
    `# Disk DescriptorFile
version=1
CID=12345678
parentCID=ffffffff
createType="vmfs"

RW 131072 VMFS "boot-flat.vmdk"

ddb.adapterType = "ide"
ddb.geometry.cylinders = "130"
ddb.geometry.heads = "16"
ddb.geometry.sectors = "63"
ddb.virtualHWVersion = "13"
`,
  );
}

/** Waits until something is true, which may take until `limitMs` (default 30 s). */
export async function eventually(
  check: () => boolean | Promise<boolean>,
  what: string,
  limitMs = 30_000,
): Promise<void> {
  const deadline = Date.now() + limitMs;
  while (!(await check())) {
    if (Date.now() > deadline) throw new Error(`after ${limitMs} ms, not yet: ${what}`);
    await sleep(50);
  }
}
