import { HypervisorError, type MachineMove } from '@hypostyle/contracts';
import { messageOf, qemuErrors } from '../errors.ts';
import type { Engine } from '../machine/engine.ts';
import { keepLock, keepOnlyLock, letGoOfLock } from '../machine/kept-lock.ts';
import { exists } from '../machine/run-files.ts';
import type { Spawner } from '../process/spawner.ts';
import { jobConcluded, jobReady, readJob } from './jobs.ts';
import { diskMove, dropUnused, type NodeMove, variablesMove } from './node-move.ts';
import { goOn, standStill } from './standstill.ts';

/**
 * Has the guest's disks lie on other files (`RunningMachine.moveDisks`). A mirror of each is filled beside the guest,
 * which writes to both: so it ends, however much is written. Once all are ready the guest is stopped, as for a merge,
 * and every device is given its new file.
 */
export async function moveDisks(engine: Engine, spawner: Spawner, move: MachineMove): Promise<void> {
  try {
    await perform(engine, spawner, move);
  } catch (error) {
    if (move.signal?.aborted && error === move.signal.reason) throw error;
    if (error instanceof HypervisorError && (error.code === 'not-running' || error.code === 'locked')) throw error;
    throw qemuErrors.blockFailed(`The disks were not moved: ${messageOf(error)}`, error);
  }
}

async function perform(engine: Engine, spawner: Spawner, move: MachineMove): Promise<void> {
  const parts = await partsOf(engine, move);
  // What has begun to change over is brought to its end.
  const decided = parts.some(({ isMoved }) => isMoved) || (await exists(engine.run.pivoting));
  const watched: MachineMove = decided ? withoutSignal(move) : move;
  if (move.lockPath !== undefined) await keepLock(engine, spawner, move.lockPath);
  try {
    for (const part of parts) {
      watched.signal?.throwIfAborted();
      await begin(engine, part);
    }
    await allReady(engine, parts, watched);
    await changeOver(engine, parts, move);
  } catch (error) {
    if (!engine.isGone) await giveUp(engine, spawner, parts, move.lockPath).catch(() => {});
    throw error;
  }
  for (const { prefix, settle } of parts) {
    await dropUnused(engine, prefix).catch(() => {});
    await settle().catch(() => {});
  }
  if (move.lockPath !== undefined) await keepOnlyLock(engine, move.lockPath);
}

async function partsOf(engine: Engine, { disks, nvramPath }: MachineMove): Promise<NodeMove[]> {
  const parts: NodeMove[] = [];
  for (const disk of disks) parts.push(await diskMove(engine, disk));
  const variables = nvramPath === undefined ? undefined : await variablesMove(engine, nvramPath);
  return variables === undefined ? parts : [...parts, variables];
}

function withoutSignal({ signal: _signal, ...move }: MachineMove): MachineMove {
  return move;
}

async function begin(engine: Engine, part: NodeMove): Promise<void> {
  if (part.isMoved) return;
  const job = await readJob(engine, part.jobId);
  if (job !== undefined && job.status !== 'concluded') return;
  if (job !== undefined) await engine.execute('job-dismiss', { id: part.jobId });
  // Of one that failed, or was begun and never came to its job.
  await dropUnused(engine, part.prefix);
  await part.open();
  await engine.execute('blockdev-mirror', {
    'job-id': part.jobId,
    device: part.top,
    target: part.target,
    sync: part.copied === 'all' ? 'full' : 'top',
    'copy-mode': 'write-blocking',
    'filter-node-name': part.filter,
    'auto-dismiss': false,
  });
}

async function allReady(engine: Engine, parts: readonly NodeMove[], move: MachineMove): Promise<void> {
  const { signal, onProgress } = move;
  const waiting = parts.filter(({ isMoved }) => !isMoved);
  for (const [index, { jobId }] of waiting.entries()) {
    const ready = await jobReady(engine, jobId, {
      ...(signal ? { signal } : {}),
      onProgress: (fraction) => onProgress?.((index + fraction) / waiting.length),
    });
    if (ready !== 'ready') throw new Error('the copy ended before it was complete');
  }
}

async function changeOver(engine: Engine, parts: readonly NodeMove[], move: MachineMove): Promise<void> {
  const stopped = await standStill(engine);
  try {
    for (const part of parts) {
      if (part.isMoved) continue;
      await engine.execute('job-complete', { id: part.jobId });
      await jobConcluded(engine, part.jobId);
    }
    await move.onMoved();
  } catch (error) {
    // Nothing was written since: the former files have the same bytes.
    for (const part of parts) await putBack(engine, part);
    if (stopped) await goOn(engine);
    throw error;
  }
  if (stopped) await goOn(engine);
}

async function putBack(engine: Engine, { jobId, device, source }: NodeMove): Promise<void> {
  if ((await readJob(engine, jobId)) !== undefined) await endJob(engine, jobId);
  else if (source !== undefined) await engine.execute('qom-set', { path: device, property: 'drive', value: source });
}

async function giveUp(
  engine: Engine,
  spawner: Spawner,
  parts: readonly NodeMove[],
  lockPath: string | undefined,
): Promise<void> {
  for (const { jobId } of parts) await endJob(engine, jobId);
  for (const { prefix } of parts) await dropUnused(engine, prefix);
  if (lockPath !== undefined) await letGoOfLock(engine, spawner, lockPath);
}

async function endJob(engine: Engine, id: string): Promise<void> {
  if ((await readJob(engine, id)) === undefined) return;
  await engine.execute('job-cancel', { id }).catch(() => {});
  await jobConcluded(engine, id).catch(() => {});
}
