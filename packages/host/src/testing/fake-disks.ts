import {
  closeSync,
  constants,
  copyFileSync,
  existsSync,
  openSync,
  readFileSync,
  readSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { dirname, resolve } from 'node:path';
import { type BlockLayer, HypervisorError } from '@hypostyle/contracts';
import { type FakeKept, keepFakeWrite, nothingKept } from './fake-generations.ts';

/** Bytes of a block; its first byte is what the fakes write and read. */
export const blockBytes = 512;

/** A delta of the fakes: what it has of the disk, and what it calls its backing. */
interface FakeDelta {
  readonly backing: string;
  readonly blocks: Readonly<Record<string, number>>;
  readonly kept?: FakeKept;
}

export function emptyFakeDelta(backing: string): string {
  return JSON.stringify({ backing, blocks: {} } satisfies FakeDelta);
}

/** What a delta calls its backing, as an absolute path. */
export function fakeBackingOf(path: string): string {
  return resolve(dirname(path), readDelta(path).backing);
}

/** Gives a delta's backing another name. */
export function renameFakeBacking(path: string, backing: string): void {
  writeFileSync(path, JSON.stringify({ ...readDelta(path), backing }));
}

/** A block of a disk, by its layers: the top first. */
export function readFakeBlock(layers: readonly BlockLayer[], block: number): number {
  for (const layer of layers) {
    const value = layer.format === 'qcow2' ? readDelta(layer.path).blocks[block] : readRaw(layer, block);
    if (value !== undefined) return value;
  }
  return 0;
}

/** Writes at once, as an engine does, whatever becomes of its owner. */
export function writeFakeBlock(layer: BlockLayer, block: number, value: number): void {
  if (layer.format === 'qcow2') {
    const delta = readDelta(layer.path);
    writeFileSync(layer.path, JSON.stringify({ ...delta, blocks: { ...delta.blocks, [block]: value } }));
    keepFakeWrite(layer, block);
    return;
  }
  const file = openSync(layer.path, 'r+');
  try {
    writeSync(file, Buffer.of(value), 0, 1, block * blockBytes);
  } finally {
    closeSync(file);
  }
  keepFakeWrite(layer, block);
}

/** The image beside a raw file that keeps what changed. */
export function emptyFakeChanges(): string {
  return JSON.stringify({ kept: nothingKept });
}

/** Writes what layers read as into a new raw file. */
export function copyFakeDisk(layers: readonly BlockLayer[], path: string): void {
  const base = layers.at(-1);
  if (base?.format !== 'raw') throw new HypervisorError('image-failed', `${base?.path} is no raw file`);
  copyFileSync(base.path, path, constants.COPYFILE_EXCL);
  for (const layer of layers.slice(0, -1).reverse())
    for (const [block, value] of fakeBlocksOf(layer)) writeFakeBlock({ format: 'raw', path }, block, value);
}

/** The blocks that a delta has. */
export function fakeBlocksOf(layer: BlockLayer): [block: number, value: number][] {
  return Object.entries(readDelta(layer.path).blocks).map(([block, value]) => [Number(block), value]);
}

/** Throws what an engine says of layers that are not there. */
export function checkFakeLayers(layers: readonly BlockLayer[]): void {
  for (const { path } of layers)
    if (!existsSync(path)) throw new HypervisorError('block-failed', `there is no ${path}`);
}

function readDelta(path: string): FakeDelta {
  return JSON.parse(readFileSync(path, 'utf8')) as FakeDelta;
}

function readRaw(layer: BlockLayer, block: number): number | undefined {
  if (layer.format !== 'raw') return undefined;
  const file = openSync(layer.path, 'r');
  try {
    const byte = Buffer.alloc(1);
    readSync(file, byte, 0, 1, block * blockBytes);
    return byte[0];
  } finally {
    closeSync(file);
  }
}
