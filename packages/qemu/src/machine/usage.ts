import type { MachineUsage } from '@hypostyle/contracts';
import { readProcessMemory, readProcessStatus, readThreadTimes } from '../process/process-status.ts';
import { isObject, type JsonObject } from '../qmp/qmp-message.ts';
import { diskIdOf } from './device.ts';
import type { Engine } from './engine.ts';

/**
 * Measures a machine. NICs are left out: QEMU counts no bytes of user-mode networking that the host can read, and
 * what a guest says of itself is not a measurement.
 */
export async function measureUsage(engine: Engine): Promise<MachineUsage> {
  const { pid, memoryKiB } = engine.identity;
  const [status, memory, blockStats, balloon, cpus] = await Promise.all([
    readProcessStatus(pid),
    readProcessMemory(pid),
    engine.execute('query-blockstats'),
    // Refused when the machine has no balloon, or its guest no driver yet.
    engine.execute('query-balloon').catch(() => undefined),
    measureCpus(engine),
  ]);
  const actual = isObject(balloon) && typeof balloon.actual === 'number' ? balloon.actual : undefined;
  return {
    cpuMilliseconds: status?.cpuMilliseconds ?? 0,
    ...(cpus === undefined ? {} : { cpus }),
    ...memory,
    balloonBytes: actual === undefined ? 0 : Math.max(0, memoryKiB * 1024 - actual),
    disks: parseBlockStats(blockStats),
    nics: [],
  };
}

/** Undefined where the host's kernel does not tell. */
async function measureCpus(engine: Engine): Promise<MachineUsage['cpus']> {
  const threads = parseCpuThreads(await engine.execute('query-cpus-fast'));
  const times = await Promise.all(threads.map((thread) => readThreadTimes(engine.identity.pid, thread)));
  const known = times.flatMap((each) => each ?? []);
  return known.length === threads.length && known.length > 0 ? known : undefined;
}

/** Threads of the virtual CPUs, in their order, in the answer of `query-cpus-fast`. */
export function parseCpuThreads(value: unknown): number[] {
  if (!Array.isArray(value)) return [];
  const cpus = value.flatMap((entry: unknown) => {
    if (!isObject(entry)) return [];
    const { 'cpu-index': index, 'thread-id': thread } = entry;
    return typeof index === 'number' && Number.isInteger(thread) ? [{ index, thread: thread as number }] : [];
  });
  return cpus.sort((a, b) => a.index - b.index).map(({ thread }) => thread);
}

/** Reads the answer of `query-blockstats`; devices that are no disk of the machine are left out. */
export function parseBlockStats(value: unknown): MachineUsage['disks'] {
  if (!Array.isArray(value)) return [];
  return value.flatMap((entry: unknown) => {
    if (!isObject(entry) || typeof entry.qdev !== 'string' || !isObject(entry.stats)) return [];
    const id = diskIdOf(entry.qdev);
    if (id === undefined) return [];
    const count = (name: string) => counter(entry.stats as JsonObject, name);
    return [
      {
        id,
        readBytes: count('rd_bytes'),
        writtenBytes: count('wr_bytes'),
        reads: count('rd_operations'),
        writes: count('wr_operations'),
        readMilliseconds: count('rd_total_time_ns') / 1e6,
        writeMilliseconds: count('wr_total_time_ns') / 1e6,
      },
    ];
  });
}

function counter(stats: JsonObject, name: string): number {
  const value = stats[name];
  return typeof value === 'number' ? value : 0;
}
