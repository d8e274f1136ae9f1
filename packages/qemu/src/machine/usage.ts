import type { MachineUsage } from '@hypostyle/contracts';
import { readProcessStatus, residentBytes } from '../process/process-status.ts';
import { isObject, type JsonObject } from '../qmp/qmp-message.ts';
import { diskIdOf } from './device.ts';
import type { Engine } from './engine.ts';

/**
 * Measures a machine. NICs are left out: QEMU counts no bytes of user-mode networking that the host can read, and
 * what a guest says of itself is not a measurement.
 */
export async function measureUsage(engine: Engine): Promise<MachineUsage> {
  const { pid, memoryKiB } = engine.identity;
  const [status, resident, blockStats, balloon] = await Promise.all([
    readProcessStatus(pid),
    residentBytes(pid),
    engine.execute('query-blockstats'),
    // Refused when the machine has no balloon, or its guest no driver yet.
    engine.execute('query-balloon').catch(() => undefined),
  ]);
  const actual = isObject(balloon) && typeof balloon.actual === 'number' ? balloon.actual : undefined;
  return {
    cpuMilliseconds: status?.cpuMilliseconds ?? 0,
    residentBytes: resident,
    balloonBytes: actual === undefined ? 0 : Math.max(0, memoryKiB * 1024 - actual),
    disks: parseBlockStats(blockStats),
    nics: [],
  };
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
      },
    ];
  });
}

function counter(stats: JsonObject, name: string): number {
  const value = stats[name];
  return typeof value === 'number' ? value : 0;
}
