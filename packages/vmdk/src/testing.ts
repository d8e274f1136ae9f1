import { randomBytes } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { TestContext } from 'node:test';
import type { Block } from './disk/disk.ts';
import { type StreamOptimizedOptions, writeStreamOptimized } from './stream/stream-writer.ts';

/** A folder that is gone after the test. */
export async function temporaryFolder(test: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'vmdk-'));
  test.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** A folder in memory where there is one: for tests that make things durable some thousand times. */
export async function memoryFolder(test: TestContext): Promise<string> {
  const folder = await mkdtemp(join('/dev/shm', 'vmdk-')).catch(() => mkdtemp(join(tmpdir(), 'vmdk-')));
  test.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Bytes with holes: each stretch of `unit` is zero, compressible or random, as `pattern` says in turn. */
export function patterned(bytes: number, unit: number, pattern: readonly (0 | 1 | 2)[]): Buffer {
  const image = Buffer.alloc(bytes);
  for (let at = 0, turn = 0; at < bytes; at += unit, turn += 1) {
    const kind = pattern[turn % pattern.length];
    const piece = image.subarray(at, at + unit);
    if (kind === 1) piece.fill((turn % 255) + 1);
    if (kind === 2) randomBytes(piece.length).copy(piece);
  }
  return image;
}

/** Blocks of an image in memory. */
export async function* blocksOf(image: Buffer, blockBytes = 65536): AsyncGenerator<Block> {
  for (let offset = 0; offset < image.length; offset += blockBytes) {
    yield { offset, data: image.subarray(offset, offset + blockBytes) };
  }
}

/** Everything that a source gives. */
export async function collect<Item>(source: AsyncIterable<Item>): Promise<Item[]> {
  const items: Item[] = [];
  for await (const item of source) items.push(item);
  return items;
}

/** A streamOptimized disk with these bytes. */
export async function streamOf(image: Buffer, options: StreamOptimizedOptions = {}): Promise<Buffer> {
  const source = { virtualBytes: image.length, blocks: blocksOf(image) };
  return Buffer.concat(await collect(writeStreamOptimized(source, options)));
}

export async function writeStream(image: Buffer, path: string): Promise<void> {
  const source = { virtualBytes: image.length, blocks: blocksOf(image) };
  await pipeline(Readable.from(writeStreamOptimized(source)), createWriteStream(path));
}

/** The image that blocks make up. */
export async function imageOf(virtualBytes: number, blocks: AsyncIterable<Block>): Promise<Buffer> {
  const image = Buffer.alloc(virtualBytes);
  for await (const { offset, data } of blocks) image.set(data, offset);
  return image;
}

/** Bytes in chunks of the given sizes, over and over. */
export async function* inChunks(bytes: Buffer, sizes: readonly number[]): AsyncGenerator<Buffer> {
  for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
    const size = sizes[turn % sizes.length] ?? bytes.length;
    yield bytes.subarray(at, at + size);
    at += size;
  }
}
