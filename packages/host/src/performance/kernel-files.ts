import { readdir, readFile } from 'node:fs/promises';

/** Totals since the machine started, as its kernel counts them. What it does not tell is left out. */
export interface KernelTotals {
  /** Milliseconds of every processor, by its number. */
  readonly cpus: ReadonlyMap<string, { readonly busy: number; readonly idle: number }>;
  readonly memory: {
    readonly totalBytes: number;
    readonly availableBytes: number;
    readonly swapUsedBytes: number;
  };
  readonly swappedInBytes: number | undefined;
  readonly swappedOutBytes: number | undefined;
  readonly disks: ReadonlyMap<string, KernelDisk>;
  readonly nics: ReadonlyMap<string, KernelNic>;
  /** Joules of the processors. */
  readonly energy: number | undefined;
}

export interface KernelDisk {
  readonly readBytes: number;
  readonly writtenBytes: number;
  readonly reads: number;
  readonly writes: number;
  readonly readMilliseconds: number;
  readonly writeMilliseconds: number;
}

export interface KernelNic {
  readonly receivedBytes: number;
  readonly sentBytes: number;
  readonly receivedPackets: number;
  readonly sentPackets: number;
}

/** Clock ticks a second, pages, and sectors, as Linux has them in /proc on every machine that Node runs on. */
const tickMilliseconds = 10;
const pageBytes = 4_096;
const sectorBytes = 512;
/** What is no disk of its own: parts of others, and what has no medium. */
const noDisk = /^(loop|ram|zram|fd|sr|dm-|md|nbd)/;
const powercap = '/sys/class/powercap';

export async function readKernelTotals(): Promise<KernelTotals> {
  const [stat, meminfo, vmstat, diskstats, netdev, blocks, energy] = await Promise.all([
    text('/proc/stat'),
    text('/proc/meminfo'),
    text('/proc/vmstat'),
    text('/proc/diskstats'),
    text('/proc/net/dev'),
    readdir('/sys/block').catch(() => []),
    readEnergy(),
  ]);
  return {
    cpus: parseCpus(stat),
    memory: parseMemory(meminfo),
    ...parseSwapping(vmstat),
    disks: parseDisks(diskstats, new Set(blocks.filter((name) => !noDisk.test(name)))),
    nics: parseNics(netdev),
    energy,
  };
}

/** proc(5), `stat`: user, nice, system, idle, iowait, irq, softirq, steal. */
export function parseCpus(stat: string): KernelTotals['cpus'] {
  const cpus = new Map<string, { busy: number; idle: number }>();
  for (const [, cpu = '', rest = ''] of stat.matchAll(/^cpu(\d+) +([\d ]+)$/gm)) {
    const [user = 0, nice = 0, system = 0, idle = 0, wait = 0, irq = 0, soft = 0, steal = 0] = rest
      .split(' ')
      .map(Number);
    cpus.set(cpu, {
      busy: (user + nice + system + irq + soft + steal) * tickMilliseconds,
      idle: (idle + wait) * tickMilliseconds,
    });
  }
  return cpus;
}

/** proc(5), `meminfo`. */
export function parseMemory(meminfo: string): KernelTotals['memory'] {
  const kibibytes = new Map(
    [...meminfo.matchAll(/^(\w+): +(\d+) kB$/gm)].map(([, name, value]) => [name, Number(value)]),
  );
  const bytes = (name: string) => (kibibytes.get(name) ?? 0) * 1024;
  return {
    totalBytes: bytes('MemTotal'),
    availableBytes: bytes('MemAvailable'),
    swapUsedBytes: bytes('SwapTotal') - bytes('SwapFree'),
  };
}

function parseSwapping(vmstat: string): Pick<KernelTotals, 'swappedInBytes' | 'swappedOutBytes'> {
  const pages = (name: string) => {
    const value = new RegExp(`^${name} (\\d+)$`, 'm').exec(vmstat)?.[1];
    return value === undefined ? undefined : Number(value) * pageBytes;
  };
  return { swappedInBytes: pages('pswpin'), swappedOutBytes: pages('pswpout') };
}

/** Documentation/admin-guide/iostats: reads, merged, sectors, ms, writes, merged, sectors, ms. */
export function parseDisks(diskstats: string, names: ReadonlySet<string>): KernelTotals['disks'] {
  const disks = new Map<string, KernelDisk>();
  for (const line of diskstats.split('\n')) {
    const fields = line.trim().split(/ +/);
    const name = fields[2];
    if (name === undefined || !names.has(name)) continue;
    const [
      reads = 0,
      ,
      readSectors = 0,
      readMilliseconds = 0,
      writes = 0,
      ,
      writtenSectors = 0,
      writeMilliseconds = 0,
    ] = fields.slice(3).map(Number);
    disks.set(name, {
      reads,
      writes,
      readMilliseconds,
      writeMilliseconds,
      readBytes: readSectors * sectorBytes,
      writtenBytes: writtenSectors * sectorBytes,
    });
  }
  return disks;
}

/** proc(5), `net/dev`: eight columns received, eight sent. */
export function parseNics(netdev: string): KernelTotals['nics'] {
  const nics = new Map<string, KernelNic>();
  for (const [, name = '', rest = ''] of netdev.matchAll(/^ *([^\s:]+): *([\d ]+)$/gm)) {
    const fields = rest.trim().split(/ +/).map(Number);
    const [receivedBytes = 0, receivedPackets = 0] = fields;
    nics.set(name, { receivedBytes, receivedPackets, sentBytes: fields[8] ?? 0, sentPackets: fields[9] ?? 0 });
  }
  return nics;
}

/** Energy of the packages, where the processor counts it and this process may read that. */
async function readEnergy(): Promise<number | undefined> {
  const zones = (await readdir(powercap).catch(() => [])).filter((name) => /^intel-rapl:\d+$/.test(name));
  const microjoules = await Promise.all(zones.map((zone) => text(`${powercap}/${zone}/energy_uj`)));
  const known = microjoules.filter((value) => /^\d+\s*$/.test(value));
  return known.length === 0 ? undefined : known.reduce((sum, value) => sum + Number(value), 0) / 1e6;
}

async function text(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch {
    return '';
  }
}
