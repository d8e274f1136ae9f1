import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { VimFault } from '@hypostyle/vim';
import { writeStreamOptimized } from '@hypostyle/vmdk';
import type { DatastoreRoot } from '../files/datastore-root.ts';

/** An empty datastore that is gone after the test. */
export async function temporaryDatastore(test: TestContext, name = 'ds'): Promise<DatastoreRoot> {
  const scratch = await mkdtemp(join(tmpdir(), 'hypo-services-'));
  test.after(() => rm(scratch, { recursive: true, force: true }));
  const directory = join(scratch, name);
  await mkdir(directory);
  return { name, directory };
}

/** Every file and folder below the root, hidden ones too, in order. */
export async function everything(root: DatastoreRoot): Promise<string[]> {
  return (await readdir(root.directory, { recursive: true })).sort();
}

/** A streamOptimized disk with these bytes. */
export async function* streamOf(image: Buffer): AsyncGenerator<Uint8Array, void, undefined> {
  async function* blocks() {
    for (let offset = 0; offset < image.length; offset += 65536) {
      yield { offset, data: image.subarray(offset, offset + 65536) };
    }
  }
  yield* writeStreamOptimized({ virtualBytes: image.length, blocks: blocks() });
}

export async function collect(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of source) pieces.push(piece);
  return Buffer.concat(pieces);
}

/** For assert.rejects and assert.throws: a fault of this type. */
export function faultOf(type: string): (error: unknown) => boolean {
  return (error) => error instanceof VimFault && error.type === type;
}
