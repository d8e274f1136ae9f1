import { readdir, readFile, realpath } from 'node:fs/promises';
import { networkInterfaces } from 'node:os';
import { basename, join } from 'node:path';

/** A network port of this machine. */
export interface PhysicalPort {
  /** As this machine names it. */
  readonly device: string;
  readonly mac: string;
  /** Its address on the bus, such as `0000:00:03.0`; empty where it is on none. */
  readonly pci: string;
  readonly driver?: string;
  /** Of its link, where that is up. */
  readonly link?: { readonly speedMb: number; readonly duplex: boolean };
}

/**
 * The ports that are devices of this machine; in a container, which has none of its own, those that it was given.
 * `folder` is where the kernel lists them.
 */
export async function readPhysicalPorts(folder = '/sys/class/net'): Promise<PhysicalPort[]> {
  const names = (await readdir(folder).catch(() => [])).sort();
  const all = await Promise.all(names.map((name) => readPort(folder, name)));
  const devices = all.flatMap(({ port, isDevice }) => (isDevice ? [port] : []));
  if (devices.length > 0) return devices;
  const given = networkInterfaces();
  return all.flatMap(({ port }) => (port.device !== 'lo' && given[port.device] !== undefined ? [port] : []));
}

async function readPort(folder: string, name: string): Promise<{ port: PhysicalPort; isDevice: boolean }> {
  const text = async (file: string) => (await readFile(join(folder, name, file), 'utf8').catch(() => '')).trim();
  const target = (link: string) => realpath(join(folder, name, link)).catch(() => undefined);
  const [device, driver, mac, speed, duplex] = await Promise.all([
    target('device'),
    target('device/driver'),
    text('address'),
    // Both are refused where the link is down.
    text('speed'),
    text('duplex'),
  ]);
  const buses = device?.match(/[0-9a-f]{4,}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]/g);
  const speedMb = Number(speed);
  return {
    isDevice: device !== undefined,
    port: {
      device: name,
      mac,
      pci: buses?.at(-1) ?? '',
      ...(driver === undefined ? {} : { driver: basename(driver) }),
      ...(speedMb > 0 ? { link: { speedMb, duplex: duplex === 'full' } } : {}),
    },
  };
}
