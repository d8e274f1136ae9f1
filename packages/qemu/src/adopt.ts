import type { AdoptRequest } from '@hypostyle/contracts';
import { closeExports } from './blocks/export-disk.ts';
import { messageOf, qemuErrors } from './errors.ts';
import { Engine } from './machine/engine.ts';
import { readStatus } from './machine/qemu-machine.ts';
import { RunDirectory } from './machine/run-directory.ts';
import { type EngineIdentity, readIdentities, writeIdentity } from './process/identity.ts';
import { isProcessAlive, readBootId } from './process/process-status.ts';
import { QmpClient } from './qmp/qmp-client.ts';
import { isObject } from './qmp/qmp-message.ts';

const monitorTimeoutMs = 5_000;
/** Run states of an engine whose guest has not been let go. */
const notStarted = new Set(['prelaunch', 'inmigrate', 'paused', 'postmigrate']);

/** Finds the engine of a machine by its identity: boot, pid, start time, and UUID over its monitor. */
export async function adoptEngine(request: AdoptRequest): Promise<Engine | undefined> {
  const identity = await livingIdentity(request);
  if (!identity) return undefined;
  const run = new RunDirectory(request.runDirectory, identity.token);
  const engine = await connect(identity, run);
  if (!engine) return undefined;
  try {
    const { status, guestShutDown } = await readStatus(engine);
    // Its start was never finished, or its guest has ended while nobody looked: nothing of it is lost by ending it.
    if (guestShutDown || (identity.phase === 'starting' && notStarted.has(status))) {
      await engine.quit();
      return undefined;
    }
    // Its memory was loaded, and perhaps nobody has it but this engine: it goes on as its owner wanted.
    if (identity.phase === 'loaded') {
      if (notStarted.has(status)) await engine.execute('cont');
      await writeIdentity(run.path, { ...identity, phase: 'started' });
    }
    await dropOrphans(engine);
    return engine;
  } catch (error) {
    engine.detach();
    throw error;
  }
}

async function livingIdentity({ uuid, runDirectory }: AdoptRequest): Promise<EngineIdentity | undefined> {
  const bootId = await readBootId();
  for (const identity of await readIdentities(runDirectory)) {
    if (identity.uuid !== uuid || identity.bootId !== bootId) continue;
    if (await isProcessAlive(identity.pid, identity.startTime)) return identity;
  }
  return undefined;
}

async function connect(identity: EngineIdentity, run: RunDirectory): Promise<Engine | undefined> {
  let monitor: QmpClient | undefined;
  try {
    monitor = await QmpClient.connect({ path: run.monitor, timeoutMs: monitorTimeoutMs, waitForSocketMs: 500 });
    const answer = await monitor.execute('query-uuid', undefined, { timeoutMs: monitorTimeoutMs });
    if (!isObject(answer) || answer.UUID !== identity.uuid) {
      monitor.close();
      return undefined;
    }
    return new Engine({ identity, run, monitor });
  } catch (error) {
    monitor?.close();
    if (!(await isProcessAlive(identity.pid, identity.startTime))) return undefined;
    throw qemuErrors.engineLost(identity.uuid, messageOf(error), error);
  }
}

/** Jobs that ended and exports that nobody serves any more would stand in the way of what comes. */
async function dropOrphans(engine: Engine): Promise<void> {
  const jobs = await engine.execute('query-jobs');
  for (const job of Array.isArray(jobs) ? jobs : []) {
    if (isObject(job) && job.status === 'concluded')
      await engine.execute('job-dismiss', { id: job.id }).catch(() => {});
  }
  await closeExports(engine);
}
