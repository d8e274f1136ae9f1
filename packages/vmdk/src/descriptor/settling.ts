import { VmdkError } from '../errors.ts';
import { capacityInSectors, sectorBytes } from '../size.ts';
import { newContentId } from './content-id.ts';
import { deltaExtentType } from './delta.ts';
import type { Descriptor } from './descriptor.ts';
import { buildDescriptor, editDescriptor } from './descriptor-edit.ts';
import { diskDatabase } from './disk-database.ts';
import type { AdapterType } from './geometry.ts';

/**
 * `createType` of a disk whose bytes still lie in the compressed file that it came in, with what was written since in a
 * qcow2 image. Foreign tools do not know it and refuse the disk.
 */
export const settlingCreateType = 'hypostyleSettling';

const keys = {
  source: 'settling.source',
  offset: 'settling.offset',
  length: 'settling.length',
  flat: 'settling.flat',
} as const;

/** Where the bytes of a settling disk are. Files lie in the descriptor's folder. */
export interface SettlingPlaces {
  /** qcow2 image with what was written since. */
  readonly overlayName: string;
  /** File that holds the streamOptimized disk. */
  readonly sourceName: string;
  /** First byte of the disk in it, and bytes from there. */
  readonly offset: number;
  readonly length: number;
  /** Flat file that has all of the source's bytes, once it is whole. */
  readonly flatName?: string;
}

export interface SettlingDescriptorOptions extends SettlingPlaces {
  readonly virtualBytes: number;
  /** Space of the flat file will be taken as it is written. Default true. */
  readonly thin?: boolean;
  /** Default `lsilogic`. */
  readonly adapterType?: AdapterType;
  readonly hardwareVersion?: number;
}

/** Descriptor of a disk that is not a flat one yet. */
export function settlingDescriptor(options: SettlingDescriptorOptions): Descriptor {
  const { virtualBytes, overlayName, sourceName, offset, length } = options;
  const sectors = capacityInSectors(virtualBytes, overlayName);
  const contentId = newContentId();
  return buildDescriptor({
    createType: settlingCreateType,
    contentId,
    extents: [{ access: 'RW', sectors, type: deltaExtentType, file: overlayName }],
    ddb: {
      ...diskDatabase({
        virtualBytes,
        adapterType: options.adapterType ?? 'lsilogic',
        contentId,
        thin: options.thin ?? true,
        ...(options.hardwareVersion === undefined ? {} : { hardwareVersion: options.hardwareVersion }),
      }),
      [keys.source]: sourceName,
      [keys.offset]: String(offset),
      [keys.length]: String(length),
    },
  });
}

/** What a settling disk's descriptor says; undefined for another disk, `descriptor-invalid` where it does not say it. */
export function settlingPlaces(descriptor: Descriptor, file: string): SettlingPlaces | undefined {
  if (descriptor.createType !== settlingCreateType) return undefined;
  const [extent, ...more] = descriptor.extents;
  const { ddb } = descriptor;
  const sourceName = ddb.get(keys.source) ?? '';
  const offset = wholeNumber(ddb.get(keys.offset));
  const length = wholeNumber(ddb.get(keys.length));
  const flatName = ddb.get(keys.flat);
  const named = extent?.type === deltaExtentType && extent.file !== undefined && more.length === 0;
  if (!named || sourceName === '' || offset === undefined || length === undefined) {
    throw new VmdkError('descriptor-invalid', { file, reason: 'it does not say where its bytes are' });
  }
  return {
    overlayName: extent.file as string,
    sourceName,
    offset,
    length,
    ...(flatName === undefined ? {} : { flatName }),
  };
}

/** The same disk once its flat file is whole: the overlay lies on that from now on. */
export function withSettlingFlat(descriptor: Descriptor, flatName: string): Descriptor {
  return editDescriptor(descriptor, { ddb: { [keys.flat]: flatName } });
}

/** The same disk as a plain flat one, under its content id: its bytes are what they were. */
export function settledDescriptor(descriptor: Descriptor, flatName: string): Descriptor {
  const sectors = descriptor.extents.reduce((sum, extent) => sum + extent.sectors, 0);
  const gone = Object.fromEntries(Object.values(keys).map((key) => [key, undefined]));
  return editDescriptor(descriptor, {
    createType: 'vmfs',
    extents: [{ access: 'RW', sectors, type: 'VMFS', file: flatName }],
    ddb: gone,
  });
}

function wholeNumber(text: string | undefined): number | undefined {
  if (text === undefined || !/^\d{1,16}$/.test(text)) return undefined;
  const value = Number(text);
  return value <= Number.MAX_SAFE_INTEGER - sectorBytes ? value : undefined;
}
