import { readFile } from 'node:fs/promises';
import { systemCode } from '../errors.ts';
import { readIfThere } from './private-file.ts';

/** Names one process for ever: pids are used again. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks after the host's boot, from proc(5). */
  readonly startTime: string;
  readonly bootId: string;
}

export async function ownIdentity(): Promise<ProcessIdentity> {
  const startTime = await startTimeOf(process.pid);
  if (startTime === undefined) throw new Error('/proc does not tell when this process started');
  return { pid: process.pid, startTime, bootId: await readBootId() };
}

/** Whether that very process still runs. */
export async function isAlive({ pid, startTime, bootId }: ProcessIdentity): Promise<boolean> {
  return (await startTimeOf(pid)) === startTime && (await readBootId()) === bootId;
}

async function readBootId(): Promise<string> {
  return (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
}

/** Undefined for no process, or for one that ended and was not collected yet. */
async function startTimeOf(pid: number): Promise<string | undefined> {
  const text = await readIfThere(`/proc/${pid}/stat`).catch((error: unknown) => {
    // It ended between the opening and the reading. Whoever cannot be asked about may well be alive.
    if (systemCode(error) === 'ESRCH') return undefined;
    throw error;
  });
  // The second field is the program's name, which may hold anything: the last parenthesis counts.
  const fields = text
    ?.slice(text.lastIndexOf(')') + 1)
    .trim()
    .split(' ');
  return fields?.[0] === 'Z' || fields?.[0] === 'X' ? undefined : fields?.[19];
}
