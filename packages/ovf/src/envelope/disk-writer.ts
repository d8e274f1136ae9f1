import type { XmlElement } from '../xml/xml-tree.ts';
import { extended, ovfAttributes } from './element-builder.ts';
import type { DiskDescription } from './envelope.ts';

/** A Disk, or an element that has its attributes. */
export function diskElement(disk: DiskDescription): XmlElement {
  const { capacity } = disk;
  return extended(
    'Disk',
    disk,
    ovfAttributes({
      capacity: 'property' in capacity ? `\${${capacity.property}}` : capacity.quantity,
      capacityAllocationUnits: capacity.unit === 'byte' ? undefined : capacity.unit,
      diskId: disk.id,
      fileRef: disk.fileId,
      format: disk.format,
      parentRef: disk.parentId,
      populatedSize: disk.populatedSize,
    }),
    [],
  );
}
