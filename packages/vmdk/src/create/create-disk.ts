import type { Descriptor } from '../descriptor/descriptor.ts';
import { formatDiskUuid } from '../descriptor/disk-uuid.ts';
import type { AdapterType } from '../descriptor/geometry.ts';
import { VmdkError } from '../errors.ts';
import { createFlatDisk } from '../flat/create-flat.ts';
import type { Allocation } from '../flat/create-flat-extent.ts';
import { createSparseDisk, type ParentReference } from '../sparse/create-sparse.ts';
import { createSplitDisk } from './create-split.ts';

/** Kinds that can be made empty and written at random. A streamOptimized disk is written in one pass instead. */
export const creatableKinds = [
  'monolithicSparse',
  'monolithicFlat',
  'twoGbMaxExtentSparse',
  'twoGbMaxExtentFlat',
  'vmfs',
] as const;

export type CreatableKind = (typeof creatableKinds)[number];

export interface CreateDiskOptions {
  /** Descriptor's path; extents of their own lie beside it. */
  readonly path: string;
  readonly kind: CreatableKind;
  /** Capacity: a multiple of 512, at most 64 TiB, of a monolithicSparse disk 2 TiB. */
  readonly virtualBytes: number;
  /** Flat kinds. Default `thin`; only a `vmfs` descriptor says so (`ddb.thinProvisioned`). */
  readonly allocation?: Allocation;
  /** Sparse kinds. Power of two from 8192 to 2097152. Default 65536. */
  readonly grainBytes?: number;
  /** Sparse kinds. Lets a grain be marked as zeros without room of its own (header version 2). Default false. */
  readonly zeroedGrains?: boolean;
  /** Sparse kinds. Makes a child; the parent may be of any kind. */
  readonly parent?: ParentReference;
  /** Default `lsilogic`. */
  readonly adapterType?: AdapterType;
  /** Virtual hardware version. Default 13. */
  readonly hardwareVersion?: number;
  /** Default random. */
  readonly contentId?: number;
  /** `ddb.uuid` as ESXi writes it (`60 00 C2 9… -…`) or a plain UUID. Default random. */
  readonly uuid?: string;
  /** More entries of the disk database, keys without the `ddb.` in front. */
  readonly ddb?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: { readonly doneBytes: number; readonly totalBytes: number }) => void;
}

/**
 * Makes an empty disk. Extents come first and the descriptor last, so that a name with a descriptor is a whole disk;
 * nothing is overwritten (`exists`), and nothing stays when it fails. `option-invalid` for an option that the kind does
 * not have.
 */
export async function createDisk(options: CreateDiskOptions): Promise<Descriptor> {
  const { kind, uuid, allocation, grainBytes, zeroedGrains, parent, signal, onProgress, ...rest } = options;
  const common = {
    ...rest,
    ddb: { ...(uuid === undefined ? {} : { uuid: formatDiskUuid(uuid, options.path) }), ...rest.ddb },
  };
  const watched = { ...(signal ? { signal } : {}), ...(onProgress ? { onProgress } : {}) };
  const sparse = {
    ...(grainBytes === undefined ? {} : { grainBytes }),
    ...(zeroedGrains === undefined ? {} : { zeroedGrains }),
    ...(parent ? { parent } : {}),
  };
  // The specification wants more than 8 sectors; QEMU reads grains of 8 too, libvmdk refuses them.
  if (grainBytes !== undefined && grainBytes < 8192) {
    throw new VmdkError('size-invalid', { file: options.path, reason: `grains of ${grainBytes} bytes` });
  }
  const flat = allocation === undefined ? {} : { allocation };
  signal?.throwIfAborted();
  switch (kind) {
    case 'vmfs':
    case 'monolithicFlat':
      refuse(options, sparse);
      return createFlatDisk({ ...common, ...watched, ...flat, createType: kind });
    case 'twoGbMaxExtentFlat':
      refuse(options, sparse);
      return createSplitDisk({ ...common, ...watched, ...flat, kind });
    case 'monolithicSparse':
      refuse(options, flat);
      return createSparseDisk({ ...common, ...sparse });
    case 'twoGbMaxExtentSparse':
      refuse(options, flat);
      return createSplitDisk({ ...common, ...watched, ...sparse, kind });
    default:
      throw new VmdkError('unsupported-create-type', { file: options.path, reason: `${String(kind)} cannot be made` });
  }
}

function refuse(options: CreateDiskOptions, unfit: object): void {
  const [name] = Object.keys(unfit);
  if (name === undefined) return;
  throw new VmdkError('option-invalid', { file: options.path, reason: `a ${options.kind} disk has no ${name}` });
}
