import type { DiskDescription, Envelope, FileReference } from '../../envelope/envelope.ts';
import { OvfError } from '../../errors.ts';

/** One layer of a disk: its description, and the file of what it adds; none for an empty one. */
export interface DiskLayer {
  readonly disk: DiskDescription;
  readonly file?: FileReference;
}

/**
 * The layers of a disk from its base up: what a delta disk's file (`ovf:parentRef`, DSP0243 9.1) does not have is its
 * parent's. Throws `reference-unknown`, `envelope-invalid` for a chain that goes round.
 */
export function diskLayers(envelope: Envelope, diskId: string): DiskLayer[] {
  const disks = new Map((envelope.diskSection?.disks ?? []).map((disk) => [disk.id, disk]));
  const files = new Map(envelope.files.map((file) => [file.id, file]));
  const layers: DiskLayer[] = [];
  for (let id: string | undefined = diskId; id !== undefined; ) {
    const disk: DiskDescription | undefined = disks.get(id);
    if (disk === undefined)
      throw new OvfError('reference-unknown', `there is no disk "${id}"`, { section: 'DiskSection' });
    if (layers.some((layer) => layer.disk === disk)) {
      throw new OvfError('envelope-invalid', `the disk ${id} is its own parent`, { section: 'DiskSection' });
    }
    const file = disk.fileId === undefined ? undefined : files.get(disk.fileId);
    layers.unshift({ disk, ...(file === undefined ? {} : { file }) });
    id = disk.parentId;
  }
  return layers;
}
