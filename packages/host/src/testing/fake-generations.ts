import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { type BlockLayer, HypervisorError, type LayerGenerations } from '@hypostyle/contracts';

interface FakeGeneration {
  readonly recording: boolean;
  readonly consistent: boolean;
  /** It was there when the layer was closed last: a kill leaves nothing at all of others. */
  readonly stored?: boolean;
  /** Blocks of 512 bytes that were written while it recorded. */
  readonly blocks: readonly number[];
}

/** What a delta, or the image beside a raw file, keeps of changes. */
export interface FakeKept {
  /** Somebody has it open for writing, or had and was killed. */
  readonly open: boolean;
  readonly generations: Readonly<Record<string, FakeGeneration>>;
}

export const nothingKept: FakeKept = { open: false, generations: {} };

/** What was written to a layer goes to the generations that record. */
export function keepFakeWrite(layer: BlockLayer, block: number): void {
  change(layer, (one) =>
    one.recording && !one.blocks.includes(block) ? { ...one, blocks: [...one.blocks, block] } : one,
  );
}

/** Opens a disk's layers, the first for writing. What was not closed cleanly says nothing any more. */
export function openFakeLayers(layers: readonly BlockLayer[]): void {
  for (const [depth, layer] of layers.entries()) {
    const kept = read(layer);
    if (kept?.open) {
      forgetFakeGenerations(
        layer,
        Object.keys(kept.generations).filter((name) => !kept.generations[name]?.stored),
      );
      change(layer, (one) => ({ ...one, consistent: false, recording: false }), { open: false });
    }
    if (depth === 0) change(layer, (one) => one, { open: true });
  }
}

/** Opens one more layer of an open disk for writing. */
export function reopenFakeLayer(layer: BlockLayer): void {
  change(layer, (one) => one, { open: true });
}

/** A clean end. */
export function closeFakeLayers(layers: readonly BlockLayer[]): void {
  for (const layer of layers) change(layer, (one) => ({ ...one, stored: true }), { open: false });
}

/** What layers keep; `open` where an engine has them. */
export function fakeGenerationsOf(layers: readonly BlockLayer[], open: boolean): LayerGenerations[] {
  return layers.map((layer) => {
    const kept = read(layer) ?? nothingKept;
    const there = Object.entries(kept.generations).filter(([, { stored }]) => open || !kept.open || stored);
    const generations = there.map(([name, { recording, consistent }]) => ({
      name,
      recording,
      consistent: consistent && (open || !kept.open),
    }));
    return { path: layer.path, generations };
  });
}

/** Blocks that a generation has in any of the layers, in order. Throws where none has it, or one says nothing. */
export function fakeChangedBlocks(layers: readonly BlockLayer[], name: string, open: boolean): number[] {
  const known = fakeGenerationsOf(layers, open).flatMap(({ generations }) =>
    generations.filter((one) => one.name === name),
  );
  if (known.length === 0) throw new Error(`no layer has generation ${name}`);
  if (known.some(({ consistent }) => !consistent)) throw new Error(`generation ${name} is inconsistent`);
  const blocks = layers.flatMap((layer) => read(layer)?.generations[name]?.blocks ?? []);
  return [...new Set(blocks)].sort((left, right) => left - right);
}

/** Begins a generation on a layer; made again, it changes nothing. */
export function beginFakeGeneration(layer: BlockLayer, name: string): void {
  const kept = read(layer);
  if (kept === undefined) throw new HypervisorError('block-failed', `${layer.path} can keep no generation`);
  if (kept.generations[name]?.recording) return;
  const before = Object.entries(kept.generations).filter(([, { consistent }]) => consistent);
  const ended = before.map(([other, one]) => [other, { ...one, recording: false }] as const);
  const begun = kept.generations[name] ?? { consistent: true, stored: !kept.open, blocks: [] };
  write(layer, { ...kept, generations: { ...Object.fromEntries(ended), [name]: { ...begun, recording: true } } });
}

export function forgetFakeGenerations(layer: BlockLayer, names: readonly string[]): void {
  const kept = read(layer);
  if (kept === undefined) return;
  const left = Object.entries(kept.generations).filter(([name]) => !names.includes(name));
  write(layer, { ...kept, generations: Object.fromEntries(left) });
}

/** Before `layer` is merged into `base`: what it keeps is kept there from now on. */
export function passFakeGenerations(layer: BlockLayer, base: BlockLayer): void {
  const [passed, kept] = [read(layer), read(base)];
  if (passed === undefined || kept === undefined) return;
  const ours = Object.entries(passed.generations).filter(([, { consistent }]) => consistent);
  if (ours.length === 0) return;
  const ended = Object.entries(kept.generations).map(([name, one]) => [name, { ...one, recording: false }] as const);
  const generations: Record<string, FakeGeneration> = Object.fromEntries(ended);
  for (const [name, one] of ours) {
    const blocks = [...new Set([...(generations[name]?.blocks ?? []), ...one.blocks])];
    generations[name] = { ...one, blocks };
  }
  write(base, { ...kept, generations });
}

function change(layer: BlockLayer, each: (one: FakeGeneration) => FakeGeneration, state: Partial<FakeKept> = {}): void {
  const kept = read(layer);
  if (kept === undefined) return;
  const generations = Object.fromEntries(Object.entries(kept.generations).map(([name, one]) => [name, each(one)]));
  write(layer, { ...kept, generations, ...state });
}

function fileOf(layer: BlockLayer): string | undefined {
  return layer.format === 'qcow2' ? layer.path : layer.changesPath;
}

/** Undefined where a layer can keep nothing. */
function read(layer: BlockLayer): FakeKept | undefined {
  const file = fileOf(layer);
  if (file === undefined || !existsSync(file)) return undefined;
  return (JSON.parse(readFileSync(file, 'utf8')) as { readonly kept?: FakeKept }).kept ?? nothingKept;
}

function write(layer: BlockLayer, kept: FakeKept): void {
  const file = fileOf(layer) as string;
  writeFileSync(file, JSON.stringify({ ...(JSON.parse(readFileSync(file, 'utf8')) as object), kept }));
}
