import { readdir, readFile } from 'node:fs/promises';

/** Clock ticks a second in /proc (USER_HZ; fixed at 100 on every Linux ABI that runs Node). */
const ticksPerSecond = 100;

export interface ProcessStatus {
  /** One letter, as in proc(5): `R`, `S`, `Z` … */
  readonly state: string;
  /** Clock ticks after the host's boot: with the pid and the boot id it names a process for ever. */
  readonly startTime: string;
  readonly cpuMilliseconds: number;
}

/** Reads /proc/PID/stat; undefined when there is no such process. */
export async function readProcessStatus(pid: number): Promise<ProcessStatus | undefined> {
  return parseProcessStatus(await readMissing(`/proc/${pid}/stat`));
}

/** Fields of proc(5)'s `stat`; the second one may hold anything, so the last parenthesis counts. */
export function parseProcessStatus(text: string | undefined): ProcessStatus | undefined {
  if (text === undefined) return undefined;
  const fields = text
    .slice(text.lastIndexOf(')') + 1)
    .trim()
    .split(' ');
  const [state, startTime] = [fields[0], fields[19]];
  const ticks = Number(fields[11]) + Number(fields[12]);
  if (!state || !startTime || !Number.isFinite(ticks)) return undefined;
  return { state, startTime, cpuMilliseconds: (ticks * 1000) / ticksPerSecond };
}

/** Whether the process of that start time still holds anything: a zombie without other threads does not. */
export async function isProcessAlive(pid: number, startTime: string): Promise<boolean> {
  const status = await readProcessStatus(pid);
  if (!status || status.startTime !== startTime) return false;
  if (status.state !== 'Z' && status.state !== 'X') return true;
  const threads = await readdir(`/proc/${pid}/task`).catch(() => []);
  return threads.length > 1;
}

export interface ProcessMemory {
  /** Bytes of host memory that the process occupies; 0 when it is gone. */
  readonly residentBytes: number;
  readonly swappedBytes: number;
}

export async function readProcessMemory(pid: number): Promise<ProcessMemory> {
  const text = (await readMissing(`/proc/${pid}/status`)) ?? '';
  const kibibytes = (pattern: RegExp) => Number(pattern.exec(text)?.[1] ?? 0) * 1024;
  return { residentBytes: kibibytes(/^VmRSS:\s+(\d+) kB/m), swappedBytes: kibibytes(/^VmSwap:\s+(\d+) kB/m) };
}

/** Times that a thread ran, and that it could have run and waited for a processor, by /proc/PID/task/TID/schedstat. */
export async function readThreadTimes(
  pid: number,
  thread: number,
): Promise<{ readonly runMilliseconds: number; readonly readyMilliseconds: number } | undefined> {
  return parseThreadTimes(await readMissing(`/proc/${pid}/task/${thread}/schedstat`));
}

/** Nanoseconds of both, and a count (Documentation/scheduler/sched-stats). */
export function parseThreadTimes(text: string | undefined) {
  const match = /^(\d+) (\d+) \d+\s*$/.exec(text ?? '');
  if (match === null) return undefined;
  return { runMilliseconds: Number(match[1]) / 1e6, readyMilliseconds: Number(match[2]) / 1e6 };
}

export async function readBootId(): Promise<string> {
  return (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
}

async function readMissing(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' || code === 'ESRCH') return undefined;
    throw error;
  }
}
