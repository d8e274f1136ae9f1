import type { DiskRange, RangeOptions } from '../../disk/disk.ts';
import { diskOfLayers, type OpenDiskOptions, openLayers } from '../../disk/open-disk.ts';

/** A stretch of a disk and the disk of its chain that gives it. */
export interface AllocatedRange extends DiskRange {
  /** Place in the chain, 0 the disk itself; undefined where no disk of the chain says anything: zeros. */
  readonly layer: number | undefined;
  /** Path of that disk. */
  readonly path: string | undefined;
}

export interface AllocationMapOptions extends RangeOptions {
  readonly allowOutside?: OpenDiskOptions['allowOutside'];
}

/**
 * Ranges of a disk in order, without gaps, each with the disk of the chain that it is read from. Neighbours of one
 * disk and state are joined. A flat file counts as data throughout: only its file system knows its holes.
 */
export async function* allocationMap(
  path: string,
  options: AllocationMapOptions = {},
): AsyncGenerator<AllocatedRange, void, undefined> {
  const { allowOutside, ...range } = options;
  const layers = await openLayers(path, allowOutside ? { allowOutside } : {});
  const disk = diskOfLayers(layers);
  try {
    for await (const { layer, ...stretch } of disk.layerMap(range)) {
      yield { ...stretch, layer, path: layer === undefined ? undefined : layers[layer]?.path };
    }
  } finally {
    await disk.close();
  }
}
