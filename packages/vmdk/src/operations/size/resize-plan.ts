import { basename } from 'node:path';
import { splitName, splitSectors } from '../../create/create-split.ts';
import { newContentId, withContentId } from '../../descriptor/content-id.ts';
import { type Descriptor, descriptorBytes } from '../../descriptor/descriptor.ts';
import { editDescriptor } from '../../descriptor/descriptor-edit.ts';
import type { ExtentDescription } from '../../descriptor/extent-line.ts';
import { adapterTypes, geometryOf } from '../../descriptor/geometry.ts';
import { sectorBytes } from '../../size.ts';

/**
 * Extents of a disk with another capacity: a split one fills its last extent and gets more, or loses some; any other
 * has one.
 */
export function resizedExtents(path: string, descriptor: Descriptor, virtualBytes: number): ExtentDescription[] {
  const { createType, extents: before } = descriptor;
  const split = createType === 'twoGbMaxExtentSparse' || createType === 'twoGbMaxExtentFlat';
  const limit = split ? splitSectors : Number.POSITIVE_INFINITY;
  const extents: ExtentDescription[] = [];
  let left = virtualBytes / sectorBytes;
  const add = (extent: ExtentDescription, most: number) => {
    const sectors = Math.min(left, most);
    if (sectors > 0) extents.push({ ...extent, sectors });
    left -= sectors;
  };
  for (const [index, extent] of before.entries()) {
    add(extent, index === before.length - 1 ? Math.max(extent.sectors, limit) : extent.sectors);
  }
  const names = new Set(before.map(({ file }) => file));
  const stem = basename(path).replace(/\.vmdk$/i, '');
  for (let index = before.length; split && left > 0; index += 1) {
    const file = splitName(stem, createType, index);
    const kind = createType === 'twoGbMaxExtentSparse' ? { type: 'SPARSE' } : { type: 'FLAT', offset: 0 };
    if (!names.has(file)) add({ access: 'RW', sectors: 0, file, ...kind }, limit);
  }
  return extents;
}

/** The descriptor of a disk with another capacity, under a new CID. */
export function resizedDescriptor(
  path: string,
  descriptor: Descriptor,
  virtualBytes: number,
  contentId = newContentId(),
): Descriptor {
  if (descriptorBytes(descriptor) === virtualBytes) return descriptor;
  const adapterType = adapterTypes.find((type) => type === descriptor.ddb.get('adapterType'));
  const geometry = adapterType && geometryOf(virtualBytes, adapterType);
  const changed = editDescriptor(descriptor, {
    extents: resizedExtents(path, descriptor, virtualBytes),
    ...(geometry
      ? {
          ddb: {
            'geometry.cylinders': String(geometry.cylinders),
            'geometry.heads': String(geometry.heads),
            'geometry.sectors': String(geometry.sectors),
          },
        }
      : {}),
  });
  return withContentId(changed, contentId);
}
