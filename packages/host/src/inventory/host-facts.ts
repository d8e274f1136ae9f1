import { readFile } from 'node:fs/promises';
import { cpus, totalmem } from 'node:os';
import type { HostIdentity } from './host-identity.ts';
import { type PhysicalPort, readPhysicalPorts } from './physical-ports.ts';

/** What this machine is: read once, at start. */
export interface HostFacts extends HostIdentity {
  readonly vendor: string;
  readonly model: string;
  /** The firmware of this machine, where it tells. */
  readonly bios: { readonly vendor?: string; readonly version?: string; readonly releaseDate?: string };
  readonly cpuModel: string;
  /** `intel`, `amd`, or `unknown`. */
  readonly cpuVendor: string;
  /** Flags of the first processor, as Linux names them. */
  readonly cpuFlags: ReadonlySet<string>;
  readonly hertz: number;
  readonly packages: readonly (readonly number[])[];
  readonly cores: number;
  readonly threads: number;
  readonly memoryBytes: number;
  readonly bootTime: string;
  readonly ports: readonly PhysicalPort[];
}

export async function readHostFacts(identity: HostIdentity): Promise<HostFacts> {
  const dmi = async (name: string) => (await readText(`/sys/class/dmi/id/${name}`)).trim();
  const cpuinfo = await readText('/proc/cpuinfo');
  const list = cpus();
  const packages = packagesOf(cpuinfo, list.length);
  const coreIds = new Set(
    [...cpuinfo.matchAll(/physical id\s*:\s*(\d+)[\s\S]*?core id\s*:\s*(\d+)/g)].map((m) => `${m[1]}/${m[2]}`),
  );
  const vendorId = /vendor_id\s*:\s*(\S+)/.exec(cpuinfo)?.[1] ?? '';
  const megahertz = Number(/cpu MHz\s*:\s*([\d.]+)/.exec(cpuinfo)?.[1] ?? list[0]?.speed ?? 0);
  const bootSeconds = Number(/^btime (\d+)/m.exec(await readText('/proc/stat'))?.[1] ?? 0);
  return {
    ...identity,
    vendor: (await dmi('sys_vendor')) || 'Unknown',
    model: (await dmi('product_name')) || 'Unknown',
    bios: biosOf({
      vendor: await dmi('bios_vendor'),
      version: await dmi('bios_version'),
      date: await dmi('bios_date'),
    }),
    cpuModel: list[0]?.model.trim() || 'Unknown processor',
    cpuVendor: vendorId === 'GenuineIntel' ? 'intel' : vendorId === 'AuthenticAMD' ? 'amd' : 'unknown',
    cpuFlags: new Set((/^flags\s*:\s*(.*)/m.exec(cpuinfo)?.[1] ?? '').split(' ')),
    // Some virtual machines say no clock; a number that is not zero keeps clients from dividing by it.
    hertz: Math.round((megahertz || 1000) * 1e6),
    packages,
    cores: coreIds.size || list.length,
    threads: list.length,
    memoryBytes: totalmem(),
    bootTime: new Date(bootSeconds * 1000).toISOString(),
    ports: await readPhysicalPorts(),
  };
}

/** What DMI says of the firmware (SMBIOS 3.7, type 0); its date is MM/DD/YYYY. */
export function biosOf(told: {
  readonly vendor: string;
  readonly version: string;
  readonly date: string;
}): HostFacts['bios'] {
  const [, month, day, year] = /^(\d{2})\/(\d{2})\/(\d{4})$/.exec(told.date) ?? [];
  const released = new Date(`${year}-${month}-${day}T00:00:00Z`);
  return {
    ...(told.vendor === '' ? {} : { vendor: told.vendor }),
    ...(told.version === '' ? {} : { version: told.version }),
    ...(Number.isNaN(released.getTime()) ? {} : { releaseDate: released.toISOString() }),
  };
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch {
    return '';
  }
}

function packagesOf(cpuinfo: string, threads: number): number[][] {
  const packages = new Map<string, number[]>();
  for (const block of cpuinfo.split('\n\n')) {
    const thread = /^processor\s*:\s*(\d+)/m.exec(block)?.[1];
    if (thread === undefined) continue;
    const id = /^physical id\s*:\s*(\d+)/m.exec(block)?.[1] ?? '0';
    packages.set(id, [...(packages.get(id) ?? []), Number(thread)]);
  }
  return packages.size > 0 ? [...packages.values()] : [Array.from({ length: threads }, (_, thread) => thread)];
}
