import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ManagedObjectReference } from '@hypostyle/vim';
import type { Center, CenterHost } from './center.ts';
import { runClient } from './client-script.ts';
import type { Daemon } from './daemon.ts';
import { placeGuestDisk } from './guest-machine.ts';
import { descriptorOf, streamDisk } from './package-files.ts';

/** A host of a center that a script works on. */
export interface Target {
  readonly host: CenterHost;
  /** Its own datastore as the center names it. */
  readonly datastore: string;
  /** The process that is the host, where its engines and files are: the center's own for the local one. */
  readonly daemon: Daemon;
}

/** Runs a script of `tests/clients` for a host of a center; the lines that it wrote. */
export function runAtCenter(
  name: string,
  center: Center,
  target: Target,
  environment: Readonly<Record<string, string>> = {},
): Promise<string[]> {
  const { host, datastore, daemon } = target;
  return runClient(name, center.daemon, {
    limitMs: 240_000,
    environment: {
      SERVER_HOME: daemon.home,
      SERVER_DATASTORE: daemon.datastore,
      TARGET_HOST: host.name,
      TARGET_DATASTORE: datastore,
      ...environment,
    },
  });
}

/** The lifecycle of machines by pyVmomi, on one host of a center: every step. */
export const machineSteps = [
  'created in a folder on a host',
  'WaitForUpdatesEx around a power-on',
  'the guest runs',
  'suspended, resumed, shut down',
  'reconfigured, renamed, moved, registered again',
  'events',
  'tasks',
  'destroyed',
] as const;

/** Runs `center_machine.py`, with the disk of a guest put where it looks for one. */
export async function driveMachines(center: Center, target: Target): Promise<string[]> {
  await placeGuestDisk(target.daemon, 'boot', true);
  return runAtCenter('center_machine.py', center, target);
}

/** Files and appliances by pyVmomi, on one host of a center: every step. */
export const transferSteps = [
  'uploaded and downloaded',
  'copied, moved, browsed and deleted',
  'imported an appliance',
  'gave one up, destroyed the other',
] as const;

/** Runs `center_transfers.py` with an appliance of one disk. */
export async function transfer(center: Center, target: Target): Promise<string[]> {
  const capacityBytes = 4 << 20;
  const content = crypto.getRandomValues(new Uint8Array(65_536));
  const whole = createHash('sha256');
  for (let at = 0; at < capacityBytes; at += content.length) whole.update(content);
  const stream = await streamDisk(capacityBytes, () => content);
  const descriptor = join(target.daemon.home, 'appliance.ovf');
  const disk = join(target.daemon.home, 'appliance-disk1.vmdk');
  await writeFile(disk, stream);
  await writeFile(
    descriptor,
    descriptorOf({ name: 'appliance', href: 'appliance-disk1.vmdk', fileBytes: stream.length, capacityBytes }),
  );
  return runAtCenter('center_transfers.py', center, target, {
    OVF_DESCRIPTOR: descriptor,
    OVF_DISK: disk,
    OVF_DISK_SHA256: whole.digest('hex'),
  });
}

/** A host with the datastore that it brought. */
export async function targetOf(center: Center, host: CenterHost, daemon: Daemon): Promise<Target> {
  const [datastore] = await center.property<readonly ManagedObjectReference<'Datastore'>[]>(
    host.reference,
    'datastore',
  );
  if (datastore === undefined) throw new Error(`${host.name} has no datastore`);
  return { host, datastore: await center.property(datastore, 'name'), daemon };
}

/** What `rbvmomi_center.rb` does on one host of a center: every step. */
export const rubySteps = [
  'signed in at a center',
  'found a host by its path',
  'created a machine in a folder and a pool',
  'property collector and view',
  'drove its power',
  'destroyed',
] as const;
