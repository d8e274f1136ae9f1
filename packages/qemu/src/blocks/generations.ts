import type { GenerationStart, LayerGenerations } from '@hypostyle/contracts';
import { messageOf, qemuErrors } from '../errors.ts';
import { granularity } from '../image/image-generations.ts';
import type { Engine } from '../machine/engine.ts';
import { type DiskLayer, readDiskLayers } from './disk-layers.ts';

type Monitor = Pick<Engine, 'execute'>;

interface Action {
  readonly type: string;
  readonly data: object;
}

/** Action of a transaction: from that moment a node keeps what is written to it. It is durable when the engine ends cleanly. */
export function beginGeneration(node: string, name: string, disabled = false): Action {
  return { type: 'block-dirty-bitmap-add', data: { node, name, persistent: true, granularity, disabled } };
}

/** `RunningMachine.beginGenerations`. */
export async function beginGenerations(engine: Monitor, starts: readonly GenerationStart[]): Promise<void> {
  try {
    const actions: Action[] = [];
    for (const { diskId, generation } of starts) {
      const [top] = (await readDiskLayers(engine, diskId)) as [DiskLayer];
      if (!top.keeps) throw new Error(`${top.path} has no image for it`);
      const known = await withoutInconsistent(engine, top);
      actions.push(...recordOnly(top.node, known, [generation]));
      if (!known.some(({ name }) => name === generation)) actions.push(beginGeneration(top.node, generation));
    }
    if (actions.length > 0) await engine.execute('transaction', { actions });
  } catch (error) {
    throw qemuErrors.blockFailed(`No generation of changed blocks was begun: ${messageOf(error)}`, error);
  }
}

/** `RunningMachine.generations`. */
export async function readGenerations(engine: Monitor, diskId: string): Promise<LayerGenerations[]> {
  const layers = await readDiskLayers(engine, diskId);
  return layers.map(({ path, generations }) => ({ path, generations }));
}

/** `RunningMachine.forgetGenerations`. */
export async function forgetGenerations(engine: Monitor, diskId: string, names: readonly string[]): Promise<void> {
  try {
    const [top] = (await readDiskLayers(engine, diskId)) as [DiskLayer];
    for (const { name } of top.generations) if (names.includes(name)) await remove(engine, top.node, name);
  } catch (error) {
    throw qemuErrors.blockFailed(`Generations of disk ${diskId} were not forgotten: ${messageOf(error)}`, error);
  }
}

/**
 * Before a layer is merged into the one below, which is opened for writing where the merge would not: the generations of
 * the layer are kept there from now on, and those before are ended.
 * The one that records gets the merge, and what is written after it. Made again, it changes nothing.
 */
export async function passGenerations(engine: Monitor, diskId: string, path: string): Promise<void> {
  const layers = await readDiskLayers(engine, diskId);
  const at = layers.findIndex((layer) => layer.path === path);
  const [layer, base, below] = layers.slice(at);
  if (at === -1 || layer === undefined || base === undefined || !base.keeps) return;
  // Bitmaps of different sizes cannot be merged: what a disk had before it was enlarged is not known any more.
  const isOfSize = layer.virtualBytes === base.virtualBytes;
  const passed = isOfSize ? layer.generations.filter(({ consistent }) => consistent) : [];
  // Bitmaps can be changed in an image that is open for writing alone; and a merge opens an image for writing by itself,
  // but not the node with the bytes that the image lies beside.
  if (base.readOnly && (passed.length > 0 || base.overBytes))
    await reopenLayer(engine, base, below, { readOnly: false });
  if (passed.length === 0) return;
  const known = await withoutInconsistent(engine, base);
  const recording = passed.filter((one) => one.recording).map(({ name }) => name);
  const missing = passed.filter(({ name }) => !known.some((one) => one.name === name));
  const actions = [
    ...recordOnly(base.node, known, recording),
    ...missing.map((one) => beginGeneration(base.node, one.name, !one.recording)),
    ...passed.map(({ name }) => mergeBitmap(base.node, name, [layer.node])),
  ];
  await engine.execute('transaction', { actions });
}

/** After a merge, or a merge that was given up: a layer that is not the top is not open for writing. */
export async function closeLayer(engine: Monitor, diskId: string, path: string): Promise<void> {
  const layers = await readDiskLayers(engine, diskId);
  const at = layers.findIndex((layer) => layer.path === path);
  const [layer, below] = layers.slice(Math.max(at, 0));
  if (at > 0 && layer?.keeps && !layer.readOnly) await reopenLayer(engine, layer, below, { readOnly: true });
}

/** Action of a transaction: a bitmap gets what those of the same name at other nodes have. */
export function mergeBitmap(node: string, name: string, from: readonly string[]): Action {
  const bitmaps = from.map((other) => ({ node: other, name }));
  return { type: 'block-dirty-bitmap-merge', data: { node, target: name, bitmaps } };
}

/** Of those that a node knows, exactly these record. */
function recordOnly(node: string, known: DiskLayer['generations'], names: readonly string[]): Action[] {
  return known
    .filter(({ name, recording }) => recording !== names.includes(name))
    .map(({ name, recording }) => ({
      type: `block-dirty-bitmap-${recording ? 'disable' : 'enable'}`,
      data: { node, name },
    }));
}

/** What the kill of an engine left of a bitmap says nothing, and would be in the way of a new one. */
async function withoutInconsistent(engine: Monitor, layer: DiskLayer): Promise<DiskLayer['generations']> {
  for (const { name, consistent } of layer.generations) if (!consistent) await remove(engine, layer.node, name);
  return layer.generations.filter(({ consistent }) => consistent);
}

async function remove(engine: Monitor, node: string, name: string): Promise<void> {
  await engine.execute('block-dirty-bitmap-remove', { node, name });
}

/** All options are said: what is not would go back to its default. */
async function reopenLayer(
  engine: Monitor,
  { node, overBytes }: DiskLayer,
  below: DiskLayer | undefined,
  { readOnly }: { readonly readOnly: boolean },
): Promise<void> {
  const access = { 'read-only': readOnly, discard: 'unmap' };
  const bytes = { driver: 'raw', 'node-name': `${node}-bytes`, file: `${node}-file`, ...access };
  const image = { driver: 'qcow2', 'node-name': node, ...access };
  const options = overBytes
    ? [bytes, { ...image, file: `${node}-changes`, 'data-file': bytes['node-name'], backing: null }]
    : [{ ...image, file: `${node}-file`, backing: below?.node ?? null }];
  await engine.execute('blockdev-reopen', { options });
}
