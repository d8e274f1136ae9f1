import { spawn } from 'node:child_process';

export interface ByteRange {
  readonly offset: number;
  readonly length: number;
}

/** One `fallocate` a line of input, in one process of ours however many ranges there are. */
const script =
  'while read -r offset length; do fallocate --punch-hole --offset "$offset" --length "$length" -- "$1" || exit 1; done';

/**
 * Makes ranges of a file read as zeros and gives their room back to its file system, the size kept. Node cannot, so
 * util-linux's `fallocate` does. False where that tool or the file system cannot; some ranges may have been done.
 */
export async function punchHoles(path: string, ranges: readonly ByteRange[], signal?: AbortSignal): Promise<boolean> {
  const lines = joined(ranges).map(({ offset, length }) => `${offset} ${length}\n`);
  if (lines.length === 0) return true;
  return runOnFile(['sh', '-c', script, 'sh', path], lines.join(''), signal);
}

/**
 * Gives the room of zeros in a stretch of a file back to its file system; no byte changes. False where that cannot be
 * done.
 */
export function digHoles(path: string, { offset, length }: ByteRange, signal?: AbortSignal): Promise<boolean> {
  const place = ['--offset', String(offset), '--length', String(length)];
  return runOnFile(['fallocate', '--dig-holes', ...place, '--', path], '', signal);
}

/** Reserves the room of a stretch of a file; no byte changes. False where that cannot be done. */
export function reserveRoom(path: string, { offset, length }: ByteRange, signal?: AbortSignal): Promise<boolean> {
  const place = ['--offset', String(offset), '--length', String(length)];
  return runOnFile(['fallocate', ...place, '--', path], '', signal);
}

async function runOnFile(command: readonly string[], input: string, signal: AbortSignal | undefined): Promise<boolean> {
  signal?.throwIfAborted();
  const [program, ...args] = command as [string, ...string[]];
  const done = await new Promise<boolean>((resolve) => {
    const child = spawn(program, args, { stdio: ['pipe', 'ignore', 'ignore'], ...(signal ? { signal } : {}) });
    child.on('error', () => resolve(false));
    child.on('close', (code) => resolve(code === 0));
    // It may end before it has read all.
    child.stdin.on('error', () => undefined);
    child.stdin.end(input);
  });
  signal?.throwIfAborted();
  return done;
}

/** Ranges in order, neighbours put together. */
function joined(ranges: readonly ByteRange[]): ByteRange[] {
  const result: { offset: number; length: number }[] = [];
  for (const { offset, length } of [...ranges].sort((one, other) => one.offset - other.offset)) {
    const last = result.at(-1);
    if (last && last.offset + last.length === offset) last.length += length;
    else result.push({ offset, length });
  }
  return result;
}
