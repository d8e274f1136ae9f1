import type { LayerCommit } from '@hypostyle/contracts';
import { HypervisorError } from '@hypostyle/contracts';
import { messageOf, qemuErrors } from '../errors.ts';
import type { Engine } from '../machine/engine.ts';
import { exists } from '../machine/run-files.ts';
import { type DiskNodes, dropLayer, findDiskNodes } from './disk-nodes.ts';
import { closeLayer, passGenerations } from './generations.ts';
import { jobConcluded, jobReady, readJob } from './jobs.ts';
import { addOverlay, takesDirectIo } from './snapshot-disks.ts';
import { goOn, standStill } from './standstill.ts';

/**
 * Merges a layer into the one below (`RunningMachine.commitLayer`). The top goes by the pivot: ready, stop, complete,
 * what names the disk made durable, go on. That the guest was stopped for it is written down in the run directory,
 * so that whoever comes after a kill lets it go on.
 */
export async function commitLayer(engine: Engine, commit: LayerCommit): Promise<void> {
  try {
    await perform(engine, commit);
  } catch (error) {
    if (commit.signal?.aborted && error === commit.signal.reason) throw error;
    if (error instanceof HypervisorError && error.code === 'not-running') throw error;
    throw qemuErrors.blockFailed(`${commit.path} was not merged: ${messageOf(error)}`, error);
  } finally {
    if (!engine.isGone) await closeLayer(engine, commit.diskId, commit.into).catch(() => {});
  }
}

async function perform(engine: Engine, commit: LayerCommit): Promise<void> {
  const { jobId, signal, onProgress } = commit;
  const watch = { ...(signal ? { signal } : {}), ...(onProgress ? { onProgress } : {}) };
  const before = await findDiskNodes(engine, commit.diskId);
  const layer = before.layer(commit.path);
  const begun = (await readJob(engine, jobId)) !== undefined || (await begin(engine, commit, before, layer));
  if (!begun) return await afterPivot(engine, commit, layer);
  if ((await jobReady(engine, jobId, watch)) === 'concluded') {
    // A job that ended while nobody looked may have been the pivot's.
    if (await exists(engine.run.pivoting)) return await afterPivot(engine, commit, layer);
    await commit.onMerged();
    if (layer !== undefined) await dropLayer(engine, layer);
    return;
  }
  await pivot(engine, commit, layer);
}

/** Starts the job. False: the layer is not in the disk any more, an earlier request has merged it. */
async function begin(
  engine: Engine,
  { jobId, diskId, path, into, backingName }: LayerCommit,
  nodes: DiskNodes,
  layer: string | undefined,
): Promise<boolean> {
  if (layer === undefined) return false;
  const isTop = nodes.top === layer;
  if (!isTop && (await dropLayer(engine, layer))) return false;
  const base = nodes.layer(into);
  if (base === undefined) throw qemuErrors.blockFailed(`${into} is no layer of the disk that ${path} is one of`);
  await passGenerations(engine, diskId, path);
  await engine.execute('block-commit', {
    'job-id': jobId,
    device: nodes.top,
    'base-node': base,
    ...(isTop ? {} : { 'top-node': layer, 'backing-file': backingName }),
    'filter-node-name': nodes.newName(`${path} commit`),
    'auto-dismiss': false,
  });
  return true;
}

async function pivot(engine: Engine, commit: LayerCommit, layer: string | undefined): Promise<void> {
  const { jobId } = commit;
  const stopped = await standStill(engine);
  try {
    await engine.execute('job-complete', { id: jobId });
    await jobConcluded(engine, jobId);
  } catch (error) {
    await engine.execute('job-cancel', { id: jobId }).catch(() => {});
    if (stopped) await goOn(engine);
    throw error;
  }
  await afterPivot(engine, commit, layer);
}

/** Both layers are equal, and the guest stands still: the owner writes down which one the disk is. */
async function afterPivot(engine: Engine, commit: LayerCommit, layer: string | undefined): Promise<void> {
  const stopped = await exists(engine.run.pivoting);
  try {
    await commit.onMerged();
  } catch (error) {
    // Only while nothing was written since the pivot may the layer be put back.
    if (stopped && layer !== undefined) {
      await putBack(engine, commit, layer);
      await goOn(engine);
    }
    throw error;
  }
  if (stopped) await goOn(engine);
  if (layer !== undefined) await dropLayer(engine, layer);
  // It works through the page cache as well.
  await writeDirectly(engine, commit).catch(() => {});
}

/** What is the top now was opened as a base: from now on it is written past the page cache, where that can be. */
async function writeDirectly(engine: Engine, { diskId, into }: LayerCommit): Promise<void> {
  const nodes = await findDiskNodes(engine, diskId);
  const name = nodes.layer(into);
  if (name === undefined || nodes.top !== name || !(await takesDirectIo(into))) return;
  const access = { 'read-only': false, discard: 'unmap' };
  const options = { driver: 'file', 'node-name': `${name}-file`, filename: into, ...access, cache: { direct: true } };
  await engine.execute('blockdev-reopen', { options: [options] });
}

async function putBack(engine: Engine, { diskId, path }: LayerCommit, layer: string): Promise<void> {
  const { top } = await findDiskNodes(engine, diskId);
  if (top === layer || !(await dropLayer(engine, layer))) return;
  await addOverlay(engine, layer, path);
  await engine.execute('blockdev-snapshot', { node: top, overlay: layer });
}
