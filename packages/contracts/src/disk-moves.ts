import type { BlockLayer } from './hardware.ts';

/** Disks that go to other files while the machine runs. */
export interface DiskMoving {
  /**
   * Copies disks into other files beside the guest, and has it go on with all of them at one moment; disks that are not
   * named stay as they are. The lock at `lockPath`, if told, is the engine's from the beginning on (`locked` where
   * another has it), and no other once it is done. A
   * request of the same `jobId`s that an earlier process made goes on. Until the guest goes on with the new files the
   * former ones have every byte, and nothing of the move is left in the engine when the call rejects: with
   * `block-failed`, also where a new file has no room, with `not-running`, or with the signal's reason. What was written
   * to the new files stays, to be removed by the caller. Until the call is made again, a machine whose owner was killed
   * may stand still.
   */
  moveDisks(move: MachineMove): Promise<void>;
}

/** Where a running machine goes. */
export interface MachineMove {
  readonly disks: readonly DiskMove[];
  /** In place of `AdoptRequest.lockPath`; that stays unless told. */
  readonly lockPath?: string;
  /** In place of `MachineHardware.nvramPath`; a file that is there is written over. That stays unless told. */
  readonly nvramPath?: string;
  /** Ends the work while it may be ended: once the guest stands still it goes on to its end. */
  readonly signal?: AbortSignal;
  /** Told how far it is, 0 to 1. */
  readonly onProgress?: (fraction: number) => void;
  /**
   * Called while the guest stands still, and both places have the same bytes: what names the machine's place is to be
   * durable before the guest goes on. If it rejects, the machine goes on where it was. It may be called again.
   */
  readonly onMoved: () => Promise<void>;
}

export interface DiskMove {
  /** Names the work in the engine, as `LayerCommit.jobId` does. */
  readonly jobId: string;
  readonly diskId: string;
  /** Path of the layer that is the top until then. */
  readonly from: string;
  /** Top first: the top is a file of the disk's size without bytes; those below are there whole, and nobody writes them. */
  readonly layers: readonly BlockLayer[];
  /** What the top gets: all that the disk reads as, or what the top layer alone has, where those below have the rest. */
  readonly copied: 'all' | 'top';
  /** Room of a raw top: kept as the file has it, or only where there is something else than zeros. Default: `kept`. */
  readonly room?: 'kept' | 'sparse';
}
