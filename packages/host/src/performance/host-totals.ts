import type { SampleWriter } from '@hypostyle/vim';
import type { MachineRecord } from '../machine/record/machine-record.ts';
import { keys } from './counter-keys.ts';
import { addTraffic, type DiskTraffic, noTraffic, writeTraffic } from './disk-traffic.ts';
import type { MachineSample } from './machine-meter.ts';

/** What machines use together: those of a host, of a pool, of a datastore. */
export class MachineTotals {
  cpuMHz = 0;
  consumedBytes = 0;
  guestMiB = 0;
  overheadBytes = 0;
  balloonBytes = 0;
  readyMilliseconds = 0;
  reservedMHz = 0;
  reservedMiB = 0;
  seconds = 0;
  disk: DiskTraffic = noTraffic;

  add({ configuration }: MachineRecord, sample: MachineSample): void {
    const { stats } = sample;
    this.cpuMHz += stats.cpuMHz;
    this.consumedBytes += stats.usage.residentBytes;
    this.guestMiB += stats.guestMemoryMiB;
    this.overheadBytes += sample.overheadBytes;
    this.balloonBytes += stats.usage.balloonBytes;
    for (const { readyMilliseconds } of sample.cpus ?? []) this.readyMilliseconds += readyMilliseconds;
    this.reservedMHz += configuration.cpuAllocation.reservation;
    this.reservedMiB += configuration.memoryAllocation.reservation;
    this.disk = addTraffic(this.disk, sample.disk);
    this.seconds = Math.max(this.seconds, sample.seconds);
  }

  /** What a host and a pool say of the memory of their machines. */
  writeMemory(writer: SampleWriter): void {
    const { memory } = keys;
    writer.set(memory.granted, this.guestMiB * 1024);
    writer.set(memory.active, this.guestMiB * 1024);
    writer.set(memory.overhead, this.overheadBytes / 1024);
    writer.set(memory.ballooned, this.balloonBytes / 1024);
  }

  /** What a host says beside what its kernel tells. */
  writeHost(writer: SampleWriter): void {
    this.writeMemory(writer);
    writer.set(keys.cpu.ready, this.readyMilliseconds);
    writer.set(keys.cpu.reserved, this.reservedMHz);
    writer.set(keys.memory.reserved, this.reservedMiB);
  }

  writePool(writer: SampleWriter): void {
    this.writeMemory(writer);
    writer.set(keys.cpu.megahertz, this.cpuMHz);
    writer.set(keys.memory.consumed, this.consumedBytes / 1024);
  }

  /** The traffic that machines have with a datastore: as the datastore's own, or as a host's part. */
  writeDatastore(writer: SampleWriter, seconds: number, instance?: string): void {
    writeTraffic(writer, keys.datastore, {
      traffic: this.disk,
      seconds,
      ...(instance === undefined ? {} : { instance }),
    });
  }
}
