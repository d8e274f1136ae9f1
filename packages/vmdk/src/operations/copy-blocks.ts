import type { Block, Disk } from '../disk/disk.ts';
import type { OperationOptions } from './operation-options.ts';

/** Neighbouring blocks are written together up to this many bytes. */
const writeBytes = 2 ** 20;

/**
 * Copies what is not zero from one disk to another that is empty and at least as large, in order. Memory: what the
 * source reads ahead and 1 MiB.
 */
export async function copyBlocks(
  source: Disk,
  target: Pick<Disk, 'write'>,
  options: Pick<OperationOptions, 'signal' | 'onProgress'> = {},
): Promise<void> {
  const totalBytes = source.virtualBytes;
  const { signal, onProgress } = options;
  for await (const { offset, data } of joined(source.blocks(signal ? { signal } : {}))) {
    signal?.throwIfAborted();
    await target.write(offset, data);
    onProgress?.({ doneBytes: offset + data.length, totalBytes });
  }
  signal?.throwIfAborted();
  onProgress?.({ doneBytes: totalBytes, totalBytes });
}

/** Neighbours put together. */
async function* joined(blocks: AsyncIterable<Block>): AsyncGenerator<Block, void, undefined> {
  let pieces: Uint8Array[] = [];
  let offset = 0;
  let length = 0;
  for await (const block of blocks) {
    if (pieces.length > 0 && (block.offset !== offset + length || length + block.data.length > writeBytes)) {
      yield { offset, data: Buffer.concat(pieces) };
      pieces = [];
    }
    if (pieces.length === 0) {
      offset = block.offset;
      length = 0;
    }
    pieces.push(block.data);
    length += block.data.length;
  }
  if (pieces.length > 0) yield { offset, data: Buffer.concat(pieces) };
}
