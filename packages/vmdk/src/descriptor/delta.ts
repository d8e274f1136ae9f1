import { capacityInSectors } from '../size.ts';
import { newContentId } from './content-id.ts';
import type { Descriptor } from './descriptor.ts';
import { buildDescriptor } from './descriptor-edit.ts';
import { diskDatabase } from './disk-database.ts';
import type { AdapterType } from './geometry.ts';

/** `createType` of a delta whose extent is a qcow2 image. Foreign tools do not know it and refuse the disk. */
export const deltaCreateType = 'hypostyleDelta';

/** Extent type of such a delta; never SPARSE or VMFSSPARSE, which others would guess at. */
export const deltaExtentType = 'HYPOSTYLEQCOW2';

export interface DeltaDescriptorOptions {
  readonly virtualBytes: number;
  /** Name of the qcow2 file, in the descriptor's folder. */
  readonly extentName: string;
  /** CID of the parent now. */
  readonly parentContentId: number;
  /** Parent's descriptor, relative to this one's folder. */
  readonly parentFileNameHint: string;
  /** Default `lsilogic`. */
  readonly adapterType?: AdapterType;
  readonly hardwareVersion?: number;
  /** Default random. */
  readonly contentId?: number;
}

/** Descriptor of a delta: VMDK syntax and CID chain over an extent that only the engine reads. */
export function deltaDescriptor(options: DeltaDescriptorOptions): Descriptor {
  const { virtualBytes } = options;
  const contentId = options.contentId ?? newContentId();
  return buildDescriptor({
    createType: deltaCreateType,
    contentId,
    parentContentId: options.parentContentId,
    parentFileNameHint: options.parentFileNameHint,
    extents: [
      {
        access: 'RW',
        sectors: capacityInSectors(virtualBytes, options.extentName),
        type: deltaExtentType,
        file: options.extentName,
      },
    ],
    ddb: diskDatabase({
      virtualBytes,
      adapterType: options.adapterType ?? 'lsilogic',
      contentId,
      ...(options.hardwareVersion === undefined ? {} : { hardwareVersion: options.hardwareVersion }),
    }),
  });
}
