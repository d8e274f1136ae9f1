import { rm } from 'node:fs/promises';
import type { Home } from './home.ts';
import { readIfThere, writePrivateFile } from './private-file.ts';
import { isAlive, ownIdentity, type ProcessIdentity } from './process-identity.ts';

/** The process that serves a home, as it wrote it down itself. */
export interface DaemonRecord extends ProcessIdentity {
  /** Such as `https://127.0.0.1:8443`; absent until it answers. */
  readonly url?: string;
  readonly userName?: string;
  /** Where the host of a center answers by itself. */
  readonly hostUrl?: string;
}

export async function writeDaemonRecord(
  home: Home,
  face: Pick<DaemonRecord, 'url' | 'userName' | 'hostUrl'> = {},
): Promise<void> {
  await writePrivateFile(home.recordFile, `${JSON.stringify({ ...(await ownIdentity()), ...face })}\n`);
}

export async function removeDaemonRecord(home: Home): Promise<void> {
  await rm(home.recordFile, { force: true });
}

/** The running process of a home; undefined when none runs. What a process left that was killed does not count. */
export async function findDaemon(home: Home): Promise<DaemonRecord | undefined> {
  const record = parseDaemonRecord(await readIfThere(home.recordFile));
  return record !== undefined && (await isAlive(record)) ? record : undefined;
}

export function parseDaemonRecord(text: string | undefined): DaemonRecord | undefined {
  if (text === undefined) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const { pid, startTime, bootId, url, userName, hostUrl } = value as Record<string, unknown>;
  if (!Number.isSafeInteger(pid) || (pid as number) < 2) return undefined;
  if (typeof startTime !== 'string' || typeof bootId !== 'string') return undefined;
  return {
    pid: pid as number,
    startTime,
    bootId,
    ...(typeof url === 'string' ? { url } : {}),
    ...(typeof userName === 'string' ? { userName } : {}),
    ...(typeof hostUrl === 'string' ? { hostUrl } : {}),
  };
}
