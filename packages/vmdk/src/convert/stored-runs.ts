import { spawn } from 'node:child_process';
import { stat } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import type { Disk, DiskRange } from '../disk/disk.ts';
import type { FlatFile } from './flat-sink.ts';

/** Where a file has so much less than its length, it is worth asking where its holes are. */
const leastHoleBytes = 64 * 2 ** 20;
/** A file in more pieces than this is read from end to end. */
const mostRuns = 2 ** 20;

interface Run {
  readonly start: number;
  readonly end: number;
}

type Readable = Pick<Disk, 'virtualBytes' | 'map' | 'readInto'>;

/**
 * The disk, with the holes of its flat files known as such. Node has no SEEK_DATA, so `qemu-img map` is asked; where it
 * is not installed, the holes are read.
 */
export async function withHoles(disk: Readable, files: readonly FlatFile[], signal?: AbortSignal): Promise<Readable> {
  const runs: Run[] = [];
  for (const file of files) {
    const stats = await stat(file.path).catch(() => undefined);
    const holes = stats ? stats.size - stats.blocks * 512 : 0;
    const known = holes >= leastHoleBytes ? await storedRuns(file.path, signal) : undefined;
    if (!known) runs.push({ start: file.start, end: file.start + file.bytes });
    for (const { start, end } of known ?? []) {
      const run = {
        start: file.start + Math.max(0, start - file.offset),
        end: file.start + Math.min(file.bytes, end - file.offset),
      };
      if (run.end > run.start) runs.push(run);
    }
  }
  return {
    virtualBytes: disk.virtualBytes,
    readInto: (buffer, offset) => disk.readInto(buffer, offset),
    map: () => ranges(runs, disk.virtualBytes),
  };
}

async function* ranges(runs: readonly Run[], virtualBytes: number): AsyncGenerator<DiskRange, void, undefined> {
  let at = 0;
  for (const { start, end } of runs) {
    if (start > at) yield { offset: at, length: start - at, state: 'unallocated' };
    yield { offset: start, length: end - start, state: 'data' };
    at = end;
  }
  if (at < virtualBytes) yield { offset: at, length: virtualBytes - at, state: 'unallocated' };
}

/** Stretches of a raw file that are no holes; undefined where they cannot be had. */
async function storedRuns(path: string, signal?: AbortSignal): Promise<Run[] | undefined> {
  const image = `driver=raw,file.driver=file,file.filename=${path.replaceAll(',', ',,')}`;
  const child = spawn('qemu-img', ['map', '--output=json', '--image-opts', image], {
    stdio: ['ignore', 'pipe', 'ignore'],
    ...(signal ? { signal } : {}),
  });
  const ended = new Promise<boolean>((resolve) => {
    child.on('error', () => resolve(false));
    child.on('close', (code) => resolve(code === 0));
  });
  const runs: Run[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    const row = parseRow(line);
    if (row?.data && !row.zero) runs.push({ start: row.start, end: row.start + row.length });
    if (runs.length > mostRuns) {
      child.kill();
      break;
    }
  }
  const whole = await ended;
  signal?.throwIfAborted();
  return whole ? runs : undefined;
}

/** A line of the map: `[{ "start": 0, "length": 4096, … "zero": false, "data": true, "offset": 0},`. */
function parseRow(line: string): { start: number; length: number; zero: boolean; data: boolean } | undefined {
  try {
    return JSON.parse(line.replace(/^\[/, '').replace(/[\],]+$/, ''));
  } catch {
    return undefined;
  }
}
