import type { DiskOverlay } from './block-work.ts';

/** Snapshots of a running machine with its memory, and what a guest holds meanwhile. */
export interface MachineSnapshots {
  /**
   * Puts overlays on top of disks, as `snapshotDisks` does, and keeps the memory of that moment. What names the disks
   * must be durable before. The file has the form that `StartRequest.resumeFrom` takes; it is whole and durable when
   * the call resolves, and until then it is not there (`<path>.partial` may be).
   *
   * Made again after its owner was killed, the call goes on. Rejects with `block-failed`: all disks are as they were,
   * and with `memory-failed`: the disks have their overlays, and there is no file. The machine runs on in both cases.
   */
  snapshotMachine(snapshot: MachineSnapshot): Promise<MachineSnapshotTaken>;
  /** Whether all of these lie on top of their disks: an earlier owner's request came so far. */
  hasOverlays(overlays: readonly DiskOverlay[]): Promise<boolean>;
  /** Lets go of file systems that an earlier owner had the guest hold; nothing happens where none are held. */
  thawGuest(): Promise<void>;
}

export interface MachineSnapshot {
  readonly overlays: readonly DiskOverlay[];
  /** Of the memory image. */
  readonly path: string;
  /** Told how far it is, 0 to 1. */
  readonly onProgress?: (fraction: number) => void;
}

export interface MachineSnapshotTaken {
  /** False: the guest stood still until all of its memory was written, because the engine has no other way here. */
  readonly background: boolean;
}
