import { checkSparseExtent } from '@hypostyle/vmdk';
import type { DiskChain } from './disk-chain.ts';

/**
 * Checks that the sparse files of a chain were not cut off: what an engine finds missing there it reads as zeros. Throws
 * `VmdkError` `truncated`, which names the file.
 */
export async function checkExtents(chain: DiskChain): Promise<void> {
  for (const { kind, descriptor, descriptorPath, extentPaths } of chain.links) {
    if (kind !== 'foreign' || !descriptor.extents.some((extent) => extent.type === 'SPARSE')) continue;
    // A monolithic file holds its descriptor.
    if (extentPaths.length === 0) await checkSparseExtent(descriptorPath);
    const files = descriptor.extents.filter((extent) => extent.file !== undefined);
    for (const [index, path] of extentPaths.entries()) {
      if (files[index]?.type === 'SPARSE') await checkSparseExtent(path);
    }
  }
}
