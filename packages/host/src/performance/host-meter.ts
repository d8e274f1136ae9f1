import type { SampleWriter } from '@hypostyle/vim';
import { keys } from './counter-keys.ts';
import { addTraffic, type DiskTraffic, latencyOf, noTraffic, writeDisk } from './disk-traffic.ts';
import type { KernelNic, KernelTotals } from './kernel-files.ts';

/** What this machine used between two looks, less what virtual machines tell. */
export interface HostSample {
  readonly cpuMHz: number;
  readonly memoryMiB: number;
  /** Writes the sample as counters of a host; nothing at the first look. */
  write(writer: SampleWriter): void;
}

export interface HostMeterOptions {
  /** One processor's clock. */
  readonly hostMHz: number;
  /** Ports that count. */
  readonly nics: readonly string[];
}

/** Makes samples of the totals that the kernel tells. */
export class HostMeter {
  readonly #options: HostMeterOptions;
  #previous: { readonly totals: KernelTotals; readonly at: number } | undefined;

  constructor(options: HostMeterOptions) {
    this.#options = options;
  }

  /** `now` in milliseconds since 1970. */
  measure(totals: KernelTotals, now: number): HostSample {
    const { hostMHz, nics } = this.#options;
    const previous = this.#previous;
    this.#previous = { totals, at: now };
    const used = totals.memory.totalBytes - totals.memory.availableBytes;
    const cpus = cpusSince(totals, previous?.totals);
    const share = mean([...cpus.values()].map(({ share }) => share));
    const seconds = previous === undefined ? 0 : (now - previous.at) / 1000;
    const before = previous?.totals;
    return {
      cpuMHz: Math.round(share * cpus.size * hostMHz),
      memoryMiB: Math.round(used / 2 ** 20),
      write: (writer) => {
        if (before === undefined || seconds <= 0) return;
        writeCpus(writer, cpus, { share, hostMHz });
        const { memory } = keys;
        writer.set(memory.usage, (used / Math.max(1, totals.memory.totalBytes)) * 10_000);
        writer.set(memory.consumed, used / 1024);
        writer.set(memory.swapUsed, totals.memory.swapUsedBytes / 1024);
        const rate = (now: number | undefined, then: number | undefined) =>
          now === undefined || then === undefined ? undefined : Math.max(0, now - then) / 1024 / seconds;
        writer.set(memory.swapIn, rate(totals.swappedInBytes, before.swappedInBytes));
        writer.set(memory.swapOut, rate(totals.swappedOutBytes, before.swappedOutBytes));
        writeDisks(writer, totals, before, seconds);
        writePorts(writer, { totals, before, seconds, nics });
        if (totals.energy !== undefined && before.energy !== undefined && totals.energy >= before.energy) {
          writer.set(keys.energy, totals.energy - before.energy);
          writer.set(keys.power, (totals.energy - before.energy) / seconds);
        }
      },
    };
  }
}

interface CpuUse {
  /** 0 to 1. */
  readonly share: number;
  readonly busy: number;
  readonly idle: number;
}

/** Of processors since the look before; since the start at the first one. */
function cpusSince({ cpus }: KernelTotals, before: KernelTotals | undefined): Map<string, CpuUse> {
  const uses = new Map<string, CpuUse>();
  for (const [cpu, total] of cpus) {
    const then = before?.cpus.get(cpu);
    const busy = Math.max(0, total.busy - (then?.busy ?? 0));
    const idle = Math.max(0, total.idle - (then?.idle ?? 0));
    uses.set(cpu, { busy, idle, share: busy + idle > 0 ? busy / (busy + idle) : 0 });
  }
  return uses;
}

function writeCpus(
  writer: SampleWriter,
  cpus: ReadonlyMap<string, CpuUse>,
  { share, hostMHz }: { readonly share: number; readonly hostMHz: number },
): void {
  const { cpu } = keys;
  writer.set(cpu.usage, share * 10_000);
  writer.set(cpu.megahertz, share * cpus.size * hostMHz);
  let used = 0;
  let idle = 0;
  for (const [instance, use] of cpus) {
    writer.set(cpu.usage, use.share * 10_000, instance);
    writer.set(cpu.megahertz, use.share * hostMHz, instance);
    writer.set(cpu.used, use.busy, instance);
    writer.set(cpu.idle, use.idle, instance);
    used += use.busy;
    idle += use.idle;
  }
  writer.set(cpu.used, used);
  writer.set(cpu.idle, idle);
}

function writeDisks(writer: SampleWriter, totals: KernelTotals, before: KernelTotals, seconds: number): void {
  let all = noTraffic;
  let latency: number | undefined;
  for (const [instance, total] of totals.disks) {
    const then = before.disks.get(instance);
    if (then === undefined) continue;
    const change = (name: keyof typeof total) => Math.max(0, total[name] - then[name]);
    const traffic: DiskTraffic = {
      readBytes: change('readBytes'),
      writtenBytes: change('writtenBytes'),
      reads: change('reads'),
      writes: change('writes'),
      readMilliseconds: change('readMilliseconds'),
      writeMilliseconds: change('writeMilliseconds'),
    };
    all = addTraffic(all, traffic);
    latency = Math.max(latency ?? 0, latencyOf(traffic) ?? 0);
    writeDisk(writer, { traffic, seconds, instance });
  }
  writeDisk(writer, { traffic: all, seconds });
  writer.set(keys.disk.latency, latency);
}

function writePorts(
  writer: SampleWriter,
  options: {
    readonly totals: KernelTotals;
    readonly before: KernelTotals;
    readonly seconds: number;
    readonly nics: readonly string[];
  },
): void {
  const { totals, before, seconds, nics } = options;
  const sums: Record<keyof KernelNic, number> = { receivedBytes: 0, sentBytes: 0, receivedPackets: 0, sentPackets: 0 };
  const write = (change: Record<keyof KernelNic, number>, instance: string) => {
    const { network } = keys;
    writer.set(network.received, change.receivedBytes / 1024 / seconds, instance);
    writer.set(network.transmitted, change.sentBytes / 1024 / seconds, instance);
    writer.set(network.usage, (change.receivedBytes + change.sentBytes) / 1024 / seconds, instance);
    writer.set(network.packetsReceived, change.receivedPackets, instance);
    writer.set(network.packetsTransmitted, change.sentPackets, instance);
  };
  for (const name of nics) {
    const total = totals.nics.get(name);
    const then = before.nics.get(name);
    if (total === undefined || then === undefined) continue;
    const change = { ...sums };
    for (const counter of Object.keys(sums) as (keyof KernelNic)[]) {
      change[counter] = Math.max(0, total[counter] - then[counter]);
      sums[counter] += change[counter];
    }
    write(change, name);
  }
  write(sums, '');
}

function mean(values: readonly number[]): number {
  return values.length === 0 ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length;
}
