import type { MachineUsage, NicUsage } from '@hypostyle/contracts';
import type { SampleWriter } from '@hypostyle/vim';
import type { MachineConfiguration } from '../configuration/machine-configuration.ts';
import type { MachineStats } from '../machine/record/machine-record.ts';
import { keys } from './counter-keys.ts';
import { addTraffic, type DiskTraffic, latencyOf, noTraffic, writeDisk, writeTraffic } from './disk-traffic.ts';

/** Counters of adapters, with when they were read: a guest is not asked at every look. */
export interface NicReading {
  readonly nics: readonly NicUsage[];
  /** Milliseconds since 1970. */
  readonly at: number;
}

interface Reading {
  readonly usage: MachineUsage;
  readonly at: number;
}

/** What a machine used between two looks. */
export interface MachineSample {
  /** Seconds between the looks. */
  readonly seconds: number;
  readonly stats: MachineStats;
  readonly cpuMilliseconds: number;
  readonly cpus: readonly { readonly runMilliseconds: number; readonly readyMilliseconds: number }[] | undefined;
  readonly swappedBytes: number | undefined;
  readonly overheadBytes: number;
  readonly disks: ReadonlyMap<string, DiskTraffic>;
  readonly disk: DiskTraffic;
  /** A second, by adapter's id. */
  readonly nics: ReadonlyMap<string, NicRates>;
  readonly heartbeats: number;
}

interface NicRates {
  readonly receivedBytes: number;
  readonly sentBytes: number;
  readonly receivedPackets: number | undefined;
  readonly sentPackets: number | undefined;
}

/** Makes samples of the totals that an engine tells. */
export class MachineMeter {
  readonly #startedAt: number;
  #previous: Reading | undefined;
  #nics: NicReading | undefined;
  #previousNics: NicReading | undefined;
  #nicRates: ReadonlyMap<string, NicRates> = new Map();
  #heartbeats = 0;

  /** When the engine started, in milliseconds since 1970. */
  constructor(startedAt: number) {
    this.#startedAt = startedAt;
  }

  /** The guest's agent has answered; its adapters have counted so much. */
  heard(reading: NicReading): void {
    this.#heartbeats += 1;
    this.#nics = reading;
  }

  measure(
    usage: MachineUsage,
    { now, hostMHz, memoryMiB }: { readonly now: number; readonly hostMHz: number; readonly memoryMiB: number },
  ): MachineSample {
    const previous = this.#previous;
    this.#previous = { usage, at: now };
    const elapsed = Math.max(0, now - (previous?.at ?? this.#startedAt));
    const cpuMilliseconds = Math.max(0, usage.cpuMilliseconds - (previous?.usage.cpuMilliseconds ?? 0));
    const guestBytes = Math.min(usage.residentBytes, memoryMiB * 2 ** 20);
    const nics = usage.nics.length > 0 ? { nics: usage.nics, at: now } : this.#nics;
    this.#rateNics(nics);
    const disks = new Map<string, DiskTraffic>();
    let disk = noTraffic;
    for (const total of usage.disks) {
      const traffic = since(
        total,
        previous?.usage.disks.find(({ id }) => id === total.id),
      );
      disks.set(total.id, traffic);
      disk = addTraffic(disk, traffic);
    }
    const heartbeats = this.#heartbeats;
    this.#heartbeats = 0;
    return {
      seconds: elapsed / 1000,
      stats: {
        cpuMHz: elapsed > 0 ? Math.round((cpuMilliseconds / elapsed) * hostMHz) : 0,
        hostMemoryMiB: Math.round(usage.residentBytes / 2 ** 20),
        guestMemoryMiB: Math.round(guestBytes / 2 ** 20),
        balloonedMiB: Math.round(usage.balloonBytes / 2 ** 20),
        uptimeSeconds: Math.max(0, Math.floor((now - this.#startedAt) / 1000)),
        usage: nics === undefined ? usage : { ...usage, nics: nics.nics },
      },
      cpuMilliseconds,
      cpus: usage.cpus?.map((cpu, index) => ({
        runMilliseconds: Math.max(0, cpu.runMilliseconds - (previous?.usage.cpus?.[index]?.runMilliseconds ?? 0)),
        readyMilliseconds: Math.max(0, cpu.readyMilliseconds - (previous?.usage.cpus?.[index]?.readyMilliseconds ?? 0)),
      })),
      swappedBytes: usage.swappedBytes,
      overheadBytes: usage.residentBytes - guestBytes,
      disks,
      disk,
      nics: this.#nicRates,
      heartbeats,
    };
  }

  /** Rates hold until the adapters are read again. */
  #rateNics(reading: NicReading | undefined): void {
    const before = this.#previousNics;
    if (reading === undefined || reading === before) return;
    this.#previousNics = reading;
    const seconds = before === undefined ? 0 : (reading.at - before.at) / 1000;
    if (seconds <= 0) return;
    this.#nicRates = new Map(
      reading.nics.flatMap((nic) => {
        const earlier = before?.nics.find(({ id }) => id === nic.id);
        if (earlier === undefined) return [];
        const rate = (now: number | undefined, then: number | undefined) =>
          now === undefined || then === undefined ? undefined : Math.max(0, now - then) / seconds;
        const rates: NicRates = {
          receivedBytes: rate(nic.receivedBytes, earlier.receivedBytes) ?? 0,
          sentBytes: rate(nic.sentBytes, earlier.sentBytes) ?? 0,
          receivedPackets: rate(nic.receivedPackets, earlier.receivedPackets),
          sentPackets: rate(nic.sentPackets, earlier.sentPackets),
        };
        return [[nic.id, rates] as const];
      }),
    );
  }
}

/** Totals begin again with a disk that was taken out and put in. */
function since(total: MachineUsage['disks'][number], before: MachineUsage['disks'][number] | undefined): DiskTraffic {
  const change = (now: number, then: number | undefined) => (then === undefined || then > now ? now : now - then);
  return {
    readBytes: change(total.readBytes, before?.readBytes),
    writtenBytes: change(total.writtenBytes, before?.writtenBytes),
    reads: change(total.reads, before?.reads),
    writes: change(total.writes, before?.writes),
    readMilliseconds:
      total.readMilliseconds === undefined ? undefined : change(total.readMilliseconds, before?.readMilliseconds),
    writeMilliseconds:
      total.writeMilliseconds === undefined ? undefined : change(total.writeMilliseconds, before?.writeMilliseconds),
  };
}

/** The sample as counters of a machine. `datastore` is the one that its disks are counted for. */
export function writeMachine(
  writer: SampleWriter,
  sample: MachineSample,
  {
    configuration,
    datastore,
    hostMHz,
  }: {
    readonly configuration: MachineConfiguration;
    readonly datastore: string;
    readonly hostMHz: number;
  },
): void {
  const { seconds, stats } = sample;
  if (seconds <= 0) return;
  writeCpu(writer, sample, { cpus: configuration.cpus, hostMHz });
  const { memory } = keys;
  writer.set(memory.usage, (stats.guestMemoryMiB / Math.max(1, configuration.memoryMiB)) * 10_000);
  writer.set(memory.consumed, stats.usage.residentBytes / 1024);
  writer.set(memory.granted, stats.guestMemoryMiB * 1024);
  writer.set(memory.active, stats.guestMemoryMiB * 1024);
  writer.set(memory.overhead, sample.overheadBytes / 1024);
  writer.set(memory.ballooned, stats.usage.balloonBytes / 1024);
  writer.set(memory.swapped, sample.swappedBytes === undefined ? undefined : sample.swappedBytes / 1024);
  writeDisk(writer, { traffic: sample.disk, seconds });
  writeTraffic(writer, keys.virtualDisk, { traffic: sample.disk, seconds });
  writeTraffic(writer, keys.datastore, { traffic: sample.disk, seconds, instance: datastore });
  let latency: number | undefined;
  for (const [id, traffic] of sample.disks) {
    writeTraffic(writer, keys.virtualDisk, { traffic, seconds, instance: id.replace(/u(\d+)$/, ':$1') });
    latency = Math.max(latency ?? 0, latencyOf(traffic) ?? 0);
  }
  writer.set(keys.disk.latency, latency);
  writeNics(writer, sample, configuration);
  writer.set(keys.uptime, stats.uptimeSeconds);
  writer.set(keys.heartbeat, sample.heartbeats);
}

function writeCpu(
  writer: SampleWriter,
  { seconds, stats, cpuMilliseconds, cpus }: MachineSample,
  options: { readonly cpus: number; readonly hostMHz: number },
): void {
  const { cpu } = keys;
  const elapsed = seconds * 1000;
  const share = cpuMilliseconds / elapsed / Math.max(1, options.cpus);
  writer.set(cpu.usage, Math.min(1, share) * 10_000);
  writer.set(cpu.megahertz, stats.cpuMHz);
  writer.set(cpu.used, cpuMilliseconds);
  if (cpus === undefined) return;
  let ready = 0;
  let wait = 0;
  for (const [index, { runMilliseconds, readyMilliseconds }] of cpus.entries()) {
    const instance = String(index);
    const waits = Math.max(0, elapsed - runMilliseconds - readyMilliseconds);
    writer.set(cpu.usage, Math.min(1, runMilliseconds / elapsed) * 10_000, instance);
    writer.set(cpu.megahertz, (runMilliseconds / elapsed) * options.hostMHz, instance);
    writer.set(cpu.used, runMilliseconds, instance);
    writer.set(cpu.ready, readyMilliseconds, instance);
    writer.set(cpu.wait, waits, instance);
    ready += readyMilliseconds;
    wait += waits;
  }
  writer.set(cpu.ready, ready);
  writer.set(cpu.wait, wait);
}

function writeNics(writer: SampleWriter, { nics, seconds }: MachineSample, configuration: MachineConfiguration): void {
  if (nics.size === 0) return;
  const { network } = keys;
  const write = (rates: NicRates, instance: string) => {
    writer.set(network.received, rates.receivedBytes / 1024, instance);
    writer.set(network.transmitted, rates.sentBytes / 1024, instance);
    writer.set(network.usage, (rates.receivedBytes + rates.sentBytes) / 1024, instance);
    const packets = (rate: number | undefined) => (rate === undefined ? undefined : rate * seconds);
    writer.set(network.packetsReceived, packets(rates.receivedPackets), instance);
    writer.set(network.packetsTransmitted, packets(rates.sentPackets), instance);
  };
  const sum = (of: (rates: NicRates) => number | undefined) =>
    [...nics.values()].reduce((total, rates) => total + (of(rates) ?? 0), 0);
  write(
    {
      receivedBytes: sum((rates) => rates.receivedBytes),
      sentBytes: sum((rates) => rates.sentBytes),
      receivedPackets: sum((rates) => rates.receivedPackets),
      sentPackets: sum((rates) => rates.sentPackets),
    },
    '',
  );
  for (const nic of configuration.nics) {
    const rates = nics.get(`ethernet${nic.number}`);
    if (rates !== undefined) write(rates, String(nic.key));
  }
}
