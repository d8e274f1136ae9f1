import { readSparseHeader } from '../../disk/open-extent.ts';
import { FileWindow } from '../../file-window.ts';
import { sectorBytes } from '../../size.ts';
import { GrainTables } from '../../sparse/grain-tables.ts';
import { isSparseHeader, type SparseHeader, sparseFlags } from '../../sparse/sparse-header.ts';
import { extentFiles } from '../files/disk-files.ts';
import { type OperationOptions, openingOptions } from '../operation-options.ts';

/** Grains that are looked at before somebody else gets a turn. */
const grainsAtOnce = 65_536;

/**
 * How much a disk is fragmented, 0 to 100: of the grains of its sparse extents, in the order of the disk, the part that
 * does not lie right behind the one before. A flat extent has its bytes in order, and a compressed one is only read:
 * neither counts.
 */
export async function diskFragmentation(
  path: string,
  options: Pick<OperationOptions, 'allowOutside' | 'signal'> = {},
): Promise<number> {
  let [steps, breaks] = [0, 0];
  for (const { path: file } of await extentFiles(path, openingOptions(options))) {
    const extent = await FileWindow.open(file, { missing: 'extent-missing' });
    try {
      const head = await extent.read(0, Math.min(sectorBytes, extent.bytes));
      if (!isSparseHeader(head)) continue;
      const header = await readSparseHeader(extent);
      if ((header.flags & sparseFlags.compressed) !== 0) continue;
      const counted = await countBreaks(extent, header, options.signal);
      steps += counted.steps;
      breaks += counted.breaks;
    } finally {
      await extent.close();
    }
  }
  return steps === 0 ? 0 : Math.round((100 * breaks) / steps);
}

async function countBreaks(file: FileWindow, header: SparseHeader, signal: AbortSignal | undefined) {
  const tables = await GrainTables.load(file, header);
  const bytes = header.capacity * sectorBytes;
  let [steps, breaks] = [0, 0];
  let last: number | undefined;
  for (let at = 0; at < bytes; ) {
    signal?.throwIfAborted();
    const { length, state } = await tables.locate(at, Math.min(bytes - at, grainsAtOnce * tables.grainBytes));
    if (state === 'data') {
      for (let grain = Math.floor(at / tables.grainBytes); grain * tables.grainBytes < at + length; grain += 1) {
        const sector = await tables.entry(grain);
        if (last !== undefined) {
          steps += 1;
          if (sector !== last + header.grainSectors) breaks += 1;
        }
        last = sector;
      }
    }
    at += length;
  }
  return { steps, breaks };
}
