import type { BlockLayer } from './hardware.ts';

/** An empty image that is to lie on top of a disk from now on. */
export interface DiskOverlay {
  readonly diskId: string;
  /** Made by `ImageTool.createDelta` over the disk's top layer. */
  readonly layer: BlockLayer;
  /** Generation of changed blocks that begins on it at the same moment; none is kept where there is none. */
  readonly generation?: string;
}

/** One layer of a disk to be merged into the one right below it, while the machine runs. */
export interface LayerCommit {
  /** Names the work in the engine, so that a later process finds it again. A letter, then up to 30 letters, digits, `.`, `_` and `-`. */
  readonly jobId: string;
  readonly diskId: string;
  /** Path of the layer that goes. */
  readonly path: string;
  /** Path of the layer right below, which has its bytes afterwards. */
  readonly into: string;
  /**
   * What the layer above is to call its new backing, where `path` is not the top. `into` is not written by this: it is
   * the name only.
   */
  readonly backingName: string;
  /** Stops the work: the disk is as it was, and the call rejects with the signal's reason. */
  readonly signal?: AbortSignal;
  /** Told how far it is, 0 to 1. */
  readonly onProgress?: (fraction: number) => void;
  /**
   * Called when `into` has everything. Where `path` was the top, the guest stands still then, and both layers are equal:
   * what names the disk is to be durable before the guest goes on. If it rejects, the disk is as it was.
   */
  readonly onMerged: () => Promise<void>;
}

/** What a layer lies on, to be exchanged for another file with the same bytes while the machine runs. */
export interface BackingChange {
  readonly diskId: string;
  /** Path of the layer that stays. */
  readonly path: string;
  /** Path of the file that it lies on until now; it may have gone already. */
  readonly former: string;
  readonly backing: BlockLayer;
}

/** A disk that is read over NBD while this is not closed. */
export interface DiskExport {
  /** Unix socket of its server, which its owner alone can use. */
  readonly socketPath: string;
  readonly exportName: string;
  /** Ends it, and every connection to it. May be called again, also when the server is gone. */
  close(): Promise<void>;
}
