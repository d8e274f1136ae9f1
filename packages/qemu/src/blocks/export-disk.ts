import { randomBytes } from 'node:crypto';
import { chmod } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DiskExport, DiskExportOptions } from '@hypostyle/contracts';
import { messageOf, qemuErrors } from '../errors.ts';
import { granularity } from '../image/image-generations.ts';
import type { Engine } from '../machine/engine.ts';
import { isObject } from '../qmp/qmp-message.ts';
import { type DiskLayer, readDiskLayers } from './disk-layers.ts';
import { findDiskNodes } from './disk-nodes.ts';
import { mergeBitmap } from './generations.ts';

/** Most clients of one engine's disks. */
const maximumConnections = 16;

/** Begins the names of nodes that are there for an export alone. */
const mapNodePrefix = 'export-';
/** How long an engine may take to let go of an export's clients, milliseconds. */
const releaseTimeoutMs = 5_000;

/** Exports a disk of a running engine for reading (`RunningMachine.exportDisk`). */
export async function exportDisk(
  engine: Engine,
  diskId: string,
  { layer, generations = [] }: DiskExportOptions = {},
): Promise<DiskExport> {
  const id = `read-${randomBytes(6).toString('hex')}`;
  const maps = `${mapNodePrefix}${id}`;
  try {
    const layers = await readDiskLayers(engine, diskId);
    const at = layer === undefined ? 0 : layers.findIndex(({ path }) => path === layer);
    if (at === -1) throw new Error(`${layer} is no layer of it`);
    // Of a disk that is read as it is, a job's own node may be the top.
    const node = layer === undefined ? (await findDiskNodes(engine, diskId)).top : layers[at]?.node;
    if (generations.length > 0) await takeMaps(engine, { node: maps, layers: layers.slice(at), generations });
    await startServer(engine);
    const bitmaps = generations.length === 0 ? {} : { bitmaps: generations.map((name) => ({ node: maps, name })) };
    const exported = { type: 'nbd', id, 'node-name': node, name: id, writable: false, ...bitmaps };
    await engine.execute('block-export-add', exported);
    return { socketPath: engine.run.exports, exportName: id, close: () => closeExport(engine, id, maps) };
  } catch (error) {
    if (!engine.isGone) await dropMaps(engine, maps).catch(() => {});
    throw qemuErrors.blockFailed(`Disk ${diskId} cannot be exported: ${messageOf(error)}`, error);
  }
}

/**
 * Copies generations as of one moment to a node of their own: the engine exports no bitmap that records, and one of the
 * disk itself would be in the way of snapshots and merges while it is exported.
 */
async function takeMaps(
  engine: Engine,
  { node, layers, generations }: { node: string; layers: readonly DiskLayer[]; generations: readonly string[] },
): Promise<void> {
  const size = layers[0]?.virtualBytes;
  const actions = generations.flatMap((name) => {
    const having = layers.filter((layer) => layer.generations.some((one) => one.name === name));
    if (having.length === 0) throw new Error(`no layer of it has generation ${name}`);
    const add = { node, name, granularity, persistent: false, disabled: true };
    return [
      { type: 'block-dirty-bitmap-add', data: add },
      mergeBitmap(
        node,
        name,
        having.map((layer) => layer.node),
      ),
    ];
  });
  await engine.execute('blockdev-add', { driver: 'null-co', 'node-name': node, size, 'read-only': true });
  await engine.execute('transaction', { actions });
}

/** An engine dies of taking away a node whose bitmaps are exported yet: so they are taken away first, one by one. */
async function dropMaps(engine: Engine, name: string): Promise<void> {
  const nodes = await engine.execute('query-named-block-nodes', { flat: true });
  const node: unknown = (Array.isArray(nodes) ? nodes : []).find(
    (one: unknown) => isObject(one) && one['node-name'] === name,
  );
  if (!isObject(node)) return;
  const bitmaps = node['dirty-bitmaps'];
  for (const bitmap of Array.isArray(bitmaps) ? bitmaps : []) {
    if (isObject(bitmap)) await engine.execute('block-dirty-bitmap-remove', { node: name, name: bitmap.name });
  }
  await engine.execute('blockdev-del', { 'node-name': name });
}

/** As `dropMaps`, once the engine has let go of the export. */
async function releaseMaps(engine: Engine, name: string): Promise<void> {
  const deadline = performance.now() + releaseTimeoutMs;
  for (let pause = 2; !engine.isGone; pause = Math.min(pause * 2, 100)) {
    try {
      return await dropMaps(engine, name);
    } catch (error) {
      // It stands in nobody's way, and the next owner tries again.
      if (performance.now() > deadline) throw error;
    }
    await sleep(pause);
  }
}

/** Ends every export, such as those of an owner that was killed. */
export async function closeExports(engine: Engine): Promise<void> {
  const exports = await engine.execute('query-block-exports');
  for (const entry of Array.isArray(exports) ? exports : []) {
    if (isObject(entry)) await engine.execute('block-export-del', { id: entry.id, mode: 'hard' }).catch(() => {});
  }
  const nodes = await engine.execute('query-named-block-nodes', { flat: true });
  for (const node of Array.isArray(nodes) ? nodes : []) {
    const name = isObject(node) ? String(node['node-name']) : '';
    if (name.startsWith(mapNodePrefix)) await releaseMaps(engine, name).catch(() => {});
  }
}

/** One server an engine. It stays when its exports end, and does the engine no harm. */
async function startServer(engine: Engine): Promise<void> {
  const { exports: path } = engine.run;
  try {
    const addr = { type: 'unix', data: { path } };
    await engine.execute('nbd-server-start', { addr, 'max-connections': maximumConnections });
    // Its folder is closed to others already.
    await chmod(path, 0o600);
  } catch (error) {
    // An earlier export, or an earlier owner of the machine, has started it.
    if (!/already running/i.test(messageOf(error))) throw error;
  }
}

async function closeExport(engine: Engine, id: string, maps: string): Promise<void> {
  if (engine.isGone) return;
  await engine.execute('block-export-del', { id, mode: 'hard' }).catch(() => {});
  await releaseMaps(engine, maps).catch(() => {});
}
