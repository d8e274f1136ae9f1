import { randomBytes } from 'node:crypto';
import { mkdir, readFile, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { MachineHardware, MachinePlatform, StartRequest } from '@hypostyle/contracts';
import { messageOf, qemuErrors } from './errors.ts';
import { throttleDisks } from './limits/disk-throttle.ts';
import { limitNics } from './limits/nic-limits.ts';
import { commandLine, engineMemoryKiB, isWindows } from './machine/command-line.ts';
import { deviceId } from './machine/device.ts';
import {
  createDiscardFiles,
  disksWithDirectIo,
  keptDiscardFiles,
  removeFiles,
  removeStaleDiscardFiles,
} from './machine/disk-preparation.ts';
import { Engine } from './machine/engine.ts';
import { efiFirmware } from './machine/firmware.ts';
import { lockConflictCode } from './machine/lock-conflict.ts';
import { type MemoryImageDescription, readMemoryImage } from './machine/memory-image.ts';
import { migrationSettled, prepareMigration } from './machine/migration.ts';
import { RunDirectory } from './machine/run-directory.ts';
import { removeRunFiles, removeStaleRunFiles } from './machine/run-files.ts';
import { endTpm, startTpm } from './machine/tpm.ts';
import type { ProbeVerdict } from './probe/probe.ts';
import { type EngineIdentity, type EngineRecord, writeIdentity } from './process/identity.ts';
import { isProcessAlive, readBootId } from './process/process-status.ts';
import type { EngineExit, SpawnedEngine, Spawner } from './process/spawner.ts';
import { QmpClient } from './qmp/qmp-client.ts';

/** How long an engine may take until its monitor answers. */
const startTimeoutMs = 30_000;
/** Most of the engine's last words in an error. */
const maxLogTailBytes = 2_000;
/** What Windows runs better with under KVM. */
const windowsFeatures = 'hv-relaxed=on,hv-vapic=on,hv-spinlocks=0x1fff,hv-time=on';

export interface StartContext {
  readonly verdict: ProbeVerdict & { readonly program: string };
  readonly spawner: Spawner;
  readonly firmwareDirectory: string;
}

/** Starts an engine and lets its guest go. Rejects with `HypervisorError`; nothing is left behind then. */
export async function startEngine(request: StartRequest, context: StartContext): Promise<Engine> {
  const run = new RunDirectory(request.runDirectory, randomBytes(4).toString('hex'));
  const [image, logStart] = await Promise.all([
    request.resumeFrom === undefined ? undefined : readMemoryImage(request.resumeFrom),
    sizeOf(request.logPath),
    mkdir(run.path, { recursive: true, mode: 0o700 }),
    mkdir(dirname(request.lockPath), { recursive: true }),
  ]);
  const plan = await planStart(request, context, run, image?.description);
  let spawned: SpawnedEngine | undefined;
  let engine: Engine | undefined;
  const { tpm } = request.hardware;
  try {
    if (tpm) await startTpm(context.spawner, run, tpm.statePath);
    spawned = await context.spawner
      .spawn({ command: plan.command, logPath: request.logPath, record: plan.record, runDirectory: run.path })
      .catch((cause: unknown) => {
        throw qemuErrors.startFailed(`The engine could not be started: ${messageOf(cause)}`, cause);
      });
    const { pid, startTime } = spawned;
    // Both are done before the guest runs.
    const placed = request.onProcess?.(pid);
    placed?.catch(() => {});
    const monitor = await connectMonitor(request, run, spawned, logStart);
    const identity: EngineIdentity = { ...plan.record, pid, startTime };
    engine = new Engine({ identity, run, monitor, exit: spawned.exit });
    await placed;
    await Promise.all(
      request.hardware.nics
        .filter((nic) => !nic.connected)
        .map((nic) => engine?.execute('set_link', { name: deviceId.nic(nic.id), up: false })),
    );
    if (request.hardware.disks.some(({ operationsPerSecond }) => operationsPerSecond !== undefined))
      await throttleDisks(engine, request.hardware);
    if (request.hardware.nics.some(({ bitsPerSecond }) => bitsPerSecond !== undefined))
      await limitNics(engine, context.spawner, request.hardware.nics);
    if (image) {
      await loadMemory(engine, context.spawner, request.resumeFrom ?? '', image.streamOffset);
      await writeIdentity(run.path, { ...identity, phase: 'loaded' });
      await request.beforeResume?.();
    }
    await engine.execute('cont');
    const started: EngineIdentity = { ...identity, phase: 'started' };
    await writeIdentity(run.path, started);
    // The lock is ours by now, so whatever else lies here is of the past.
    await removeStaleRunFiles(run);
    await removeStaleDiscardFiles(request.lockPath, plan.record.discardFiles);
    return engine;
  } catch (error) {
    if (engine) {
      await engine.quit().catch(() => {});
      engine.detach();
    } else if (spawned) await endSpawned(spawned);
    if (!image) await removeFiles(plan.record.discardFiles);
    if (tpm) await endTpm(run);
    await removeRunFiles(run).catch(() => {});
    throw error;
  }
}

async function planStart(
  request: StartRequest,
  context: StartContext,
  run: RunDirectory,
  image: MemoryImageDescription | undefined,
): Promise<{ readonly command: readonly string[]; readonly record: EngineRecord }> {
  const { lockPath } = request;
  // A guest that goes on has the room that it was started with.
  const { hotPlug, ...without } = request.hardware;
  const room = image ? image.hotPlug : hotPlug;
  const hardware: MachineHardware = room === undefined ? without : { ...without, hotPlug: room };
  const { verdict } = context;
  const { accelerator } = verdict;
  const addedMemory = image?.addedMemory ?? [];
  const addedKiB = addedMemory.reduce((sum, { bytes }) => sum + bytes / 1024, 0);
  const memoryKiB = engineMemoryKiB(hardware.memoryMiB, accelerator) - addedKiB;
  const platform = image?.platform ?? request.platform ?? firstPlatform(verdict, hardware.guestId);
  if (image && image.uuid !== (request.resumedAs ?? hardware.uuid))
    throw qemuErrors.startFailed('The memory image is of another machine.');
  if (image && image.accelerator !== accelerator) {
    throw qemuErrors.startFailed(
      `The machine was suspended under ${image.accelerator} and cannot go on under ${accelerator}; discard its memory image to start it afresh.`,
    );
  }
  if (image && image.memoryKiB !== memoryKiB) {
    throw qemuErrors.startFailed('The memory size was changed while the machine was suspended.');
  }
  const efi =
    hardware.firmware === 'efi' ? await efiFirmware(context.firmwareDirectory, hardware.nvramPath) : undefined;
  const [directIo, bootId] = await Promise.all([disksWithDirectIo(hardware), readBootId()]);
  const discardFiles = image
    ? keptDiscardFiles(hardware, image.discardFiles)
    : await createDiscardFiles(hardware, lockPath);
  try {
    const command = commandLine({
      program: verdict.program,
      hardware,
      platform,
      accelerator,
      memoryKiB,
      run,
      lockPath,
      directIo,
      discardFiles,
      addedMemory,
      incoming: image !== undefined,
      ...(efi ? { efi } : {}),
    });
    const record: EngineRecord = {
      uuid: hardware.uuid,
      bootId,
      startedAt: Date.now(),
      token: run.token,
      platform,
      accelerator,
      memoryKiB,
      serialCount: hardware.serials.length,
      ...(room === undefined ? {} : { hotPlug: room }),
      discardFiles: [...discardFiles.values()],
      phase: 'starting',
    };
    return { command, record };
  } catch (error) {
    if (!image) await removeFiles(discardFiles.values());
    throw error;
  }
}

function firstPlatform(verdict: ProbeVerdict, guestId: string): MachinePlatform {
  const { machineType, cpuModel } = verdict.platform;
  const windows = verdict.accelerator === 'kvm' && isWindows(guestId);
  return { machineType, cpuModel: windows ? `${cpuModel},${windowsFeatures}` : cpuModel };
}

/** Waits for the engine's monitor, or for its early end. */
async function connectMonitor(
  request: StartRequest,
  run: RunDirectory,
  { exit }: SpawnedEngine,
  logStart: number,
): Promise<QmpClient> {
  const giveUp = new AbortController();
  const connection = QmpClient.connect({ path: run.monitor, timeoutMs: startTimeoutMs, signal: giveUp.signal });
  try {
    const early = exit.then((end): QmpClient | EngineExit | Promise<QmpClient> => end ?? connection);
    const first = await Promise.race<QmpClient | EngineExit>([connection, early]);
    if (first instanceof QmpClient) return first;
    throw await exitError(request, first, logStart);
  } catch (error) {
    giveUp.abort();
    const late = await connection.catch(() => undefined);
    late?.close();
    // A monitor that closes at once belongs to an engine that is about to tell its end.
    const end = await Promise.race([exit, sleep(500)]);
    if (end) throw await exitError(request, end, logStart);
    if (error instanceof Error && error.name === 'HypervisorError') throw error;
    throw qemuErrors.startFailed(`The engine does not answer: ${messageOf(error)}`, error);
  }
}

async function exitError(request: StartRequest, end: EngineExit, logStart: number): Promise<Error> {
  if (end.code === lockConflictCode) return qemuErrors.locked(request.lockPath);
  const words = await logTail(request.logPath, logStart);
  const how = end.signal ? `was ended by ${end.signal}` : `ended with code ${end.code}`;
  return qemuErrors.startFailed(`The engine ${how}: ${words || 'it said nothing.'}`);
}

/** What the engine wrote since its start, without time stamps. */
async function logTail(path: string, start: number): Promise<string> {
  const log = await readFile(path).catch(() => Buffer.alloc(0));
  return log
    .subarray(Math.max(start, log.length - maxLogTailBytes))
    .toString('utf8')
    .split('\n')
    .map((line) => line.replace(/^\S+Z (?:qemu-system-x86_64: )?/, '').trim())
    .filter((line) => line !== '' && !/^engine \d+ starts$/.test(line) && !line.startsWith('warning:'))
    .join(' ');
}

async function loadMemory(engine: Engine, spawner: Spawner, path: string, offset: number): Promise<void> {
  const socketPath = engine.run.migration;
  try {
    await prepareMigration(engine);
    await engine.execute('migrate-incoming', { uri: `unix:${socketPath}` });
    await spawner.feed({ socketPath, path, offset });
    const failure = await migrationSettled(engine);
    if (failure !== undefined) throw new Error(failure);
    await rm(socketPath, { force: true });
  } catch (error) {
    throw qemuErrors.startFailed(`The memory image ${path} could not be loaded: ${messageOf(error)}`, error);
  }
}

/** Ends an engine whose monitor never answered; its guest has not run. */
async function endSpawned({ pid, startTime, exit }: SpawnedEngine): Promise<void> {
  if (await isProcessAlive(pid, startTime)) process.kill(pid, 'SIGKILL');
  await Promise.race([exit, sleep(2_000)]);
}

async function sizeOf(path: string): Promise<number> {
  return (await stat(path).catch(() => undefined))?.size ?? 0;
}
