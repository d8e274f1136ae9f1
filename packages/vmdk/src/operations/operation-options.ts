import type { OutsideReference } from '../descriptor/extent-path.ts';

/** How far an operation is. Both in bytes of the virtual disk. */
export interface Progress {
  readonly doneBytes: number;
  readonly totalBytes: number;
}

/** What every operation on disks takes. */
export interface OperationOptions {
  /** Stops it; what it leaves behind is named with each operation. */
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: Progress) => void;
  /** Says whether an extent or parent outside its descriptor's folder may be used. Default: never. */
  readonly allowOutside?: (reference: OutsideReference) => boolean;
}

/** The part of the options with which disks are opened. */
export function openingOptions(options: OperationOptions): Pick<OperationOptions, 'allowOutside'> {
  return options.allowOutside ? { allowOutside: options.allowOutside } : {};
}
