import type { BlockLayer } from './hardware.ts';

/** Copies of disks, made by the driver's own tools: no byte passes the owner's process. */
export interface DiskCopying {
  /**
   * Writes what a disk's layers read as into a new raw file, whole and durable when it resolves. Holes stay holes, and
   * blocks are shared where the file system can. Nobody may write a layer meanwhile; others may read them. When it
   * fails, is cancelled or killed, the file may be there in part: it is the caller's to remove. Rejects with
   * `image-failed`, or with the signal's reason.
   */
  copyDisk(copy: DiskCopy): Promise<void>;
}

export interface DiskCopy {
  /** Top first; the last one is the base. */
  readonly layers: readonly BlockLayer[];
  /** The new file; it must not exist. */
  readonly path: string;
  /** Zeros that are stored become holes too. Default: false, what was stored stays so where the format tells. */
  readonly sparse?: boolean;
  readonly signal?: AbortSignal;
  /** Told how far it is, 0 to 1. */
  readonly onProgress?: (fraction: number) => void;
}
