import { open } from 'node:fs/promises';
import type { BlockLayer, Generation, ImageTool } from '@hypostyle/contracts';
import { messageOf, qemuErrors } from '../errors.ts';
import { deepGraph } from '../machine/block-graph.ts';
import type { ProgramRunner } from './program-runner.ts';
import { readQcow2Bitmaps } from './qcow2-bitmaps.ts';

/** Smallest stretch that is told as changed, in bytes. */
export const granularity = 65_536;

/** `ImageTool.generations`. */
export async function imageGenerations(layers: readonly BlockLayer[]): ReturnType<ImageTool['generations']> {
  return await Promise.all(
    layers.map(async (layer) => ({ path: layer.path, generations: await generationsOf(layer) })),
  );
}

/** `ImageTool.beginGeneration`. */
export async function beginImageGeneration(run: ProgramRunner, layer: BlockLayer, name: string): Promise<void> {
  await changing(layer, async () => {
    const known = await generationsOf(layer);
    const mine = known.find((one) => one.name === name && one.consistent);
    const others = known.filter((one) => one !== mine);
    const bad = others.filter(({ consistent }) => !consistent);
    for (const other of bad) await bitmap(run, layer, other.name, ['--remove']);
    // Two that record for a moment are harmless; none would miss a write.
    if (mine === undefined) await bitmap(run, layer, name, ['--add', '-g', String(granularity)]);
    else if (!mine.recording) await bitmap(run, layer, name, ['--enable']);
    for (const other of others) if (other.recording) await bitmap(run, layer, other.name, ['--disable']);
  });
}

/** `ImageTool.forgetGenerations`. */
export async function forgetImageGenerations(
  run: ProgramRunner,
  layer: BlockLayer,
  names: readonly string[],
): Promise<void> {
  await changing(layer, async () => {
    const known = await generationsOf(layer);
    for (const { name } of known) if (names.includes(name)) await bitmap(run, layer, name, ['--remove']);
  });
}

/** Before `layer` is merged into `base`: its generations are kept there from now on, and those before are ended. */
export async function passImageGenerations(run: ProgramRunner, layer: BlockLayer, base: BlockLayer): Promise<void> {
  const [above, below] = [await readImage(layer), await readImage(base)];
  // Bitmaps of different sizes cannot be merged: what a disk had before it was enlarged is not known any more.
  if (above === undefined || below?.virtualBytes !== above.virtualBytes) return;
  const passed = above.bitmaps.filter(({ consistent }) => consistent);
  const kept = passed.length === 0 ? [] : below.bitmaps;
  for (const { name, recording } of passed) {
    const known = kept.find((one) => one.name === name);
    if (known?.consistent === false) await bitmap(run, base, name, ['--remove']);
    const source = ['-b', graphOf(layer), '--merge', name];
    if (known?.consistent !== true) {
      const mode = recording ? [] : ['--disable'];
      await bitmap(run, base, name, ['--add', '-g', String(granularity), ...mode, ...source]);
    } else await bitmap(run, base, name, [recording ? '--enable' : '--disable', ...source]);
  }
  for (const { name, recording } of kept) {
    if (recording && !passed.some((one) => one.name === name)) await bitmap(run, base, name, ['--disable']);
  }
}

async function generationsOf(layer: BlockLayer): Promise<readonly Generation[]> {
  return (await readImage(layer))?.bitmaps ?? [];
}

/** Undefined: the layer can keep nothing. */
async function readImage(layer: BlockLayer): Promise<Awaited<ReturnType<typeof readQcow2Bitmaps>> | undefined> {
  const path = imageOf(layer);
  if (path === undefined) return undefined;
  try {
    const file = await open(path, 'r');
    try {
      return await readQcow2Bitmaps(file);
    } finally {
      await file.close();
    }
  } catch (cause) {
    throw qemuErrors.imageFailed(`What changed in ${layer.path} cannot be read: ${messageOf(cause)}`, cause);
  }
}

/** The file that keeps what changes in a layer. */
function imageOf({ format, path, changesPath, offset }: BlockLayer): string | undefined {
  if (format === 'qcow2') return offset === undefined ? path : undefined;
  return changesPath;
}

/** Bitmaps are in the image itself: what lies below is not opened. */
function graphOf(layer: BlockLayer): string {
  return `json:${JSON.stringify(deepGraph([layer]))}`;
}

async function bitmap(run: ProgramRunner, layer: BlockLayer, name: string, actions: readonly string[]): Promise<void> {
  await run(['qemu-img', 'bitmap', ...actions, graphOf(layer), name], {});
}

async function changing(layer: BlockLayer, work: () => Promise<void>): Promise<void> {
  try {
    if (imageOf(layer) === undefined) throw new Error('it has no image for it');
    await work();
  } catch (cause) {
    throw qemuErrors.imageFailed(`What changes in ${layer.path} cannot be kept: ${messageOf(cause)}`, cause);
  }
}
