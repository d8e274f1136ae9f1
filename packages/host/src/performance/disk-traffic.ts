import type { SampleWriter } from '@hypostyle/vim';
import { keys, type TrafficKeys } from './counter-keys.ts';

/** What disks did within an interval. Times are sums over all requests; undefined where nobody measured them. */
export interface DiskTraffic {
  readonly readBytes: number;
  readonly writtenBytes: number;
  readonly reads: number;
  readonly writes: number;
  readonly readMilliseconds: number | undefined;
  readonly writeMilliseconds: number | undefined;
}

export const noTraffic: DiskTraffic = {
  readBytes: 0,
  writtenBytes: 0,
  reads: 0,
  writes: 0,
  readMilliseconds: undefined,
  writeMilliseconds: undefined,
};

/** Both together. */
export function addTraffic(a: DiskTraffic, b: DiskTraffic): DiskTraffic {
  return {
    readBytes: a.readBytes + b.readBytes,
    writtenBytes: a.writtenBytes + b.writtenBytes,
    reads: a.reads + b.reads,
    writes: a.writes + b.writes,
    readMilliseconds: together(a.readMilliseconds, b.readMilliseconds),
    writeMilliseconds: together(a.writeMilliseconds, b.writeMilliseconds),
  };
}

/** Rates and mean times, as counters of a group. */
export function writeTraffic(
  writer: SampleWriter,
  group: TrafficKeys,
  {
    traffic,
    seconds,
    instance = '',
  }: { readonly traffic: DiskTraffic; readonly seconds: number; readonly instance?: string },
): void {
  const { readBytes, writtenBytes, reads, writes, readMilliseconds, writeMilliseconds } = traffic;
  writer.set(group.read, readBytes / 1024 / seconds, instance);
  writer.set(group.write, writtenBytes / 1024 / seconds, instance);
  writer.set(group.reads, reads / seconds, instance);
  writer.set(group.writes, writes / seconds, instance);
  if (group.readLatency !== undefined) writer.set(group.readLatency, mean(readMilliseconds, reads), instance);
  if (group.writeLatency !== undefined) writer.set(group.writeLatency, mean(writeMilliseconds, writes), instance);
}

/** The counters of the group `disk`, which machines and hosts have. */
export function writeDisk(
  writer: SampleWriter,
  {
    traffic,
    seconds,
    instance = '',
  }: { readonly traffic: DiskTraffic; readonly seconds: number; readonly instance?: string },
): void {
  writeTraffic(writer, keys.disk.traffic, { traffic, seconds, instance });
  writer.set(keys.disk.usage, (traffic.readBytes + traffic.writtenBytes) / 1024 / seconds, instance);
  writer.set(keys.disk.numberRead, traffic.reads, instance);
  writer.set(keys.disk.numberWrite, traffic.writes, instance);
}

/** Mean milliseconds of a request. */
export function latencyOf({ reads, writes, readMilliseconds, writeMilliseconds }: DiskTraffic): number | undefined {
  if (readMilliseconds === undefined && writeMilliseconds === undefined) return undefined;
  return mean((readMilliseconds ?? 0) + (writeMilliseconds ?? 0), reads + writes);
}

function mean(sum: number | undefined, count: number): number | undefined {
  return sum === undefined ? undefined : count === 0 ? 0 : sum / count;
}

function together(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined && b === undefined ? undefined : (a ?? 0) + (b ?? 0);
}
