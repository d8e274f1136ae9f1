import type { ManagedObjectReference } from '@hypostyle/vim';
import type { ServerSession } from '../connection/server-session.ts';
import { CliError } from '../errors.ts';
import { datastoreNamed } from './datastore-named.ts';
import { findDevice, readDevices } from './devices.ts';

/** What is said of one disk: `DISK=DATASTORE`, with `,thin`, `,thick` or `,eager` behind it for its room. */
export interface DiskPlace {
  readonly disk: string;
  readonly datastore: string;
  readonly room?: 'thin' | 'thick' | 'eager';
}

/** Reads what an option says. Throws `usage`. */
export function parseDiskPlace(text: string): DiskPlace {
  const match = /^(.+?)=(.+?)(?:,(thin|thick|eager))?$/.exec(text);
  const [, disk, datastore, room] = match ?? [];
  if (disk === undefined || datastore === undefined)
    throw new CliError('usage', `'${text}' is no place of a disk.`, {
      next: 'Write it as DISK=DATASTORE or DISK=DATASTORE,thin.',
    });
  return room === undefined ? { disk, datastore } : { disk, datastore, room: room as 'thin' | 'thick' | 'eager' };
}

/** Members of `VirtualMachineRelocateSpec.disk`. Throws `not-found` for disks and datastores that are not there. */
export async function diskLocators(session: ServerSession, machine: string, places: readonly string[]) {
  const asked = places.map(parseDiskPlace);
  const devices = await readDevices(session, machine);
  const locators: DiskLocator[] = [];
  for (const { disk, datastore, room } of asked) {
    const device = findDevice(devices, disk);
    if (device._typeName !== 'VirtualDisk')
      throw new CliError('usage', `${disk} is no disk.`, { next: `See: hypo device ls ${machine}` });
    locators.push({
      _typeName: 'VirtualMachineRelocateSpecDiskLocator',
      diskId: device.key,
      datastore: await datastoreNamed(session, datastore),
      ...(room === undefined ? {} : { diskBackingInfo: backingOf(room) }),
    });
  }
  return locators;
}

interface DiskLocator {
  readonly _typeName: 'VirtualMachineRelocateSpecDiskLocator';
  readonly diskId: number;
  readonly datastore: ManagedObjectReference<'Datastore'>;
  readonly diskBackingInfo?: object;
}

function backingOf(room: 'thin' | 'thick' | 'eager') {
  return {
    _typeName: 'VirtualDiskFlatVer2BackingInfo',
    fileName: '',
    diskMode: 'persistent',
    thinProvisioned: room === 'thin',
    ...(room === 'eager' ? { eagerlyScrub: true } : {}),
  };
}
