import type { PackedGrain } from '../codec/grain-job.ts';
import { GrainWorkers, type GrainWorkersOptions } from '../codec/grain-workers.ts';
import type { Block } from '../disk/disk.ts';
import { VmdkError } from '../errors.ts';
import { sectorBytes } from '../size.ts';
import { inOrder } from './ordered-work.ts';
import type { CompressedGrain } from './stream-markers.ts';

export interface InflatedDisk {
  readonly virtualBytes: number;
  readonly grainBytes: number;
  /** Name for messages. */
  readonly name: string;
}

interface Placed {
  readonly grain: CompressedGrain;
  readonly packed: PackedGrain;
}

/**
 * Expands grains on every processor and yields their blocks a batch at a time, in order; grains of zeros are left out
 * and neighbours joined. The data is good until the next batch is asked for. `grain-corrupt` comes after the blocks
 * before it.
 */
export async function* inflatedBatches(
  grains: AsyncIterable<CompressedGrain>,
  disk: InflatedDisk,
  options: Omit<GrainWorkersOptions, 'grainBytes'> = {},
): AsyncGenerator<readonly Block[], void, undefined> {
  const workers = new GrainWorkers({ ...options, grainBytes: disk.grainBytes });
  const batches = inOrder(placedGrains(grains, disk, workers), workers.slots, async (placed) => {
    const slot = await workers.acquire();
    for (const { grain, packed } of placed) slot.input.set(grain.data, packed.at);
    return { slot, placed, ...(await slot.inflate(placed.map(({ packed }) => packed))) };
  });
  try {
    for await (const { slot, placed, outcomes } of batches) {
      const blocks: Block[] = [];
      let failure: VmdkError | undefined;
      for (const [index, { grain, packed }] of placed.entries()) {
        const outcome = outcomes[index];
        if (outcome === 'data') append(blocks, slot.output, grain.lba * sectorBytes, packed);
        else if (outcome !== 'zero') {
          failure = corrupt(disk, grain, packed, outcome);
          break;
        }
      }
      if (blocks.length > 0) yield blocks;
      slot.release();
      if (failure) throw failure;
    }
  } finally {
    await workers.close();
  }
}

function append(blocks: Block[], output: Uint8Array, offset: number, { to, wanted }: PackedGrain): void {
  const last = blocks.at(-1);
  const joins = last !== undefined && last.offset + last.data.length === offset;
  const start = joins ? to - last.data.length : to;
  const block = { offset: joins ? last.offset : offset, data: output.subarray(start, to + wanted) };
  if (joins) blocks[blocks.length - 1] = block;
  else blocks.push(block);
}

function corrupt(disk: InflatedDisk, grain: CompressedGrain, { wanted }: PackedGrain, outcome: unknown): VmdkError {
  const reason =
    typeof outcome === 'number'
      ? `expands to ${outcome} of ${wanted} bytes`
      : `its ${grain.data.length} bytes are damaged, or expand to more than ${disk.grainBytes}`;
  return new VmdkError('grain-corrupt', { file: disk.name, place: `byte ${grain.position}`, reason });
}

/** Grains of one stretch of the disk that fit a slot, with their places in it. */
async function* placedGrains(
  grains: AsyncIterable<CompressedGrain>,
  { virtualBytes, grainBytes }: InflatedDisk,
  { batchBytes, areaBytes }: GrainWorkers,
): AsyncGenerator<readonly Placed[], void, undefined> {
  let placed: Placed[] = [];
  let batch = 0;
  let used = 0;
  try {
    for await (const grain of grains) {
      const offset = grain.lba * sectorBytes;
      const to = offset % batchBytes;
      if (placed.length > 0 && (offset - to !== batch || used + grain.data.length > areaBytes)) {
        yield placed;
        placed = [];
        used = 0;
      }
      batch = offset - to;
      const wanted = Math.min(grainBytes, virtualBytes - offset);
      placed.push({ grain, packed: { at: used, bytes: grain.data.length, to, wanted } });
      used += grain.data.length;
    }
  } catch (error) {
    // What came whole before the stream broke off is still given.
    if (placed.length > 0) yield placed;
    throw error;
  }
  if (placed.length > 0) yield placed;
}
