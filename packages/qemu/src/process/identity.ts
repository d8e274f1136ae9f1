import { readdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { MachineHardware, MachinePlatform } from '@hypostyle/contracts';
import { isObject } from '../qmp/qmp-message.ts';

/** An identity file is about 10 KB, most of it the CPU model. */
const maxIdentityBytes = 1 << 20;

/** What is known of a machine's engine before its process is there. */
export interface EngineRecord {
  readonly uuid: string;
  readonly bootId: string;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  /** Tells the sockets of this start from those of others. */
  readonly token: string;
  readonly platform: MachinePlatform;
  readonly accelerator: 'kvm' | 'tcg';
  readonly memoryKiB: number;
  readonly serialCount: number;
  /** What it was started with room for. */
  readonly hotPlug?: NonNullable<MachineHardware['hotPlug']>;
  /** Temporary overlays that end with the machine, absolute paths. */
  readonly discardFiles: readonly string[];
  /** `loaded` once the memory of a suspended machine is there, `started` once the guest was let go. */
  readonly phase: (typeof phases)[number];
}

const phases = ['starting', 'loaded', 'started'] as const;

/** Proof of a machine's engine, written in its run directory. */
export interface EngineIdentity extends EngineRecord {
  readonly pid: number;
  /** Of the process, as /proc tells it. */
  readonly startTime: string;
}

/** One file a start: the loser of a race for the lock must not replace the winner's. */
export function identityPath(runDirectory: string, token: string): string {
  return join(runDirectory, `engine-${token}.json`);
}

/** Every identity in the folder, of engines that live or do not. */
export async function readIdentities(runDirectory: string): Promise<EngineIdentity[]> {
  const identities: EngineIdentity[] = [];
  for (const name of await readdir(runDirectory).catch(() => [])) {
    if (!/^engine-[0-9a-f]+\.json$/.test(name)) continue;
    const identity = await readIdentity(join(runDirectory, name));
    if (identity) identities.push(identity);
  }
  return identities;
}

async function readIdentity(path: string): Promise<EngineIdentity | undefined> {
  const { size } = await stat(path);
  if (size > maxIdentityBytes) return undefined;
  try {
    return parseIdentity(JSON.parse(await readFile(path, 'utf8')));
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

export async function writeIdentity(runDirectory: string, identity: EngineIdentity): Promise<void> {
  const path = identityPath(runDirectory, identity.token);
  await writeFile(`${path}.new`, JSON.stringify(identity), { mode: 0o600 });
  await rename(`${path}.new`, path);
}

export function parseIdentity(value: unknown): EngineIdentity | undefined {
  if (!isObject(value) || !isObject(value.platform)) return undefined;
  const { uuid, bootId, startedAt, token, accelerator, memoryKiB, serialCount, phase, pid, startTime } = value;
  const { machineType, cpuModel } = value.platform;
  const discardFiles: readonly unknown[] = Array.isArray(value.discardFiles) ? value.discardFiles : [undefined];
  const strings = [uuid, bootId, token, startTime, machineType, cpuModel, ...discardFiles];
  if (!strings.every((text) => typeof text === 'string')) return undefined;
  if (!Number.isSafeInteger(pid) || (pid as number) < 2) return undefined;
  if (![startedAt, memoryKiB, serialCount].every((number) => Number.isSafeInteger(number))) return undefined;
  if (!isRoom(value.hotPlug)) return undefined;
  if ((serialCount as number) < 0 || (serialCount as number) > 32) return undefined;
  if (!/^[0-9a-f]{1,16}$/.test(token as string) || !/^\d{1,20}$/.test(startTime as string)) return undefined;
  if (accelerator !== 'kvm' && accelerator !== 'tcg') return undefined;
  if (!phases.some((known) => known === phase)) return undefined;
  return value as unknown as EngineIdentity;
}

/** What an engine was started with room for, as it was written down; none is one too. */
export function isRoom(value: unknown): boolean {
  return (
    value === undefined ||
    (isObject(value) && [value.maxCpus, value.maxMemoryMiB].every((number) => Number.isSafeInteger(number)))
  );
}
