import type { OutsideReference } from '../descriptor/extent-path.ts';

/** What a repair may do beside what is safe. */
export interface RepairOptions {
  /** Makes a descriptor's sizes those of its extents. */
  readonly matchExtents?: boolean;
  /** Takes the parent as it is now: the child records its CID. What the child reads may have changed. */
  readonly acceptParent?: boolean;
  /** Finishes a stream although grains are lost or may be; they read as zeros. */
  readonly acceptLoss?: boolean;
}

/** What checks and repairs take beside. */
export interface DiskCheckOptions {
  /** Says whether an extent or parent outside the descriptor's folder may be opened. Default: never. */
  readonly allowOutside?: (reference: OutsideReference) => boolean;
  /** Whether compressed grains are expanded, which reads all of the file. Default true. */
  readonly expandGrains?: boolean;
  readonly signal?: AbortSignal;
  /** Called with the bytes of capacity, over all disks of the chain, that have been looked at. */
  readonly onProgress?: (progress: { readonly doneBytes: number; readonly totalBytes: number }) => void;
}
