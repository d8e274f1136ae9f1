import { randomUUID } from 'node:crypto';
import type { ChangeId } from './change-id.ts';

/** Most generations of a disk that are known: the ids of older ones expire. */
export const mostGenerations = 64;

/** What is known of the changes of one disk. */
export interface TrackedDisk {
  /** Descriptor of the base of its chain, relative to the machine's folder, or in `/vmfs/volumes`. */
  readonly base: string;
  /** Highest generation that ever began: the one that takes what is written now. */
  readonly generation: number;
  /** Size of the disk, in bytes. */
  readonly bytes: number;
  /** None: nothing is known of what changed. */
  readonly epoch: Epoch | undefined;
}

/** A time in which every write of a disk was seen. */
export interface Epoch {
  /** UUID. */
  readonly id: string;
  /** First generation that is known. */
  readonly oldest: number;
  /** Generations that began with a snapshot. */
  readonly moments: readonly Moment[];
  /** Digest of the disk's files as the last engine left them; none while one may write. */
  readonly closed: string | undefined;
}

export interface Moment {
  /** `SnapshotEntry.uid`. */
  readonly snapshot: number;
  readonly generation: number;
}

/** A disk with a new epoch, which begins with a generation of a number that was never used. */
export function newEpoch(
  before: TrackedDisk | undefined,
  base: string,
  bytes: number,
  id: string = randomUUID(),
): TrackedDisk {
  const generation = (before?.generation ?? 0) + 1;
  return { base, bytes, generation, epoch: { id, oldest: generation, moments: [], closed: undefined } };
}

/** The disk without an epoch: every id that was given is over. */
export function withoutEpoch(disk: TrackedDisk): TrackedDisk {
  return { ...disk, epoch: undefined };
}

/** The disk with the state of its files as it is now, or being written. */
export function withClosed(disk: TrackedDisk, closed: string | undefined): TrackedDisk {
  return disk.epoch === undefined ? disk : { ...disk, epoch: { ...disk.epoch, closed } };
}

/** The disk once a snapshot was taken of it. `existing`: other snapshots that are there. */
export function withMoment(disk: TrackedDisk, moment: Moment, existing: ReadonlySet<number>): TrackedDisk {
  const { epoch } = disk;
  if (epoch === undefined) return disk;
  const oldest = Math.max(epoch.oldest, moment.generation - mostGenerations + 1);
  const kept = epoch.moments.filter(
    ({ snapshot, generation }) => snapshot !== moment.snapshot && existing.has(snapshot) && generation >= oldest,
  );
  return { ...disk, generation: moment.generation, epoch: { ...epoch, oldest, moments: [...kept, moment] } };
}

/** The id of the disk as it is, or as a snapshot has it; undefined where there is none. */
export function idOf(disk: TrackedDisk, snapshot?: number): ChangeId | undefined {
  const { epoch } = disk;
  if (epoch === undefined) return undefined;
  const generation =
    snapshot === undefined ? disk.generation : epoch.moments.find((moment) => moment.snapshot === snapshot)?.generation;
  return generation === undefined || generation < epoch.oldest ? undefined : { epoch: epoch.id, generation };
}

/**
 * The generations that have what changed from an id to the disk as it is, or as a snapshot has it, oldest first.
 * Undefined: the id says nothing of that, because it is of another epoch, too old, or later than the snapshot.
 */
export function generationsSince(disk: TrackedDisk, since: ChangeId, snapshot?: number): number[] | undefined {
  const end = idOf(disk, snapshot);
  if (end === undefined || disk.epoch === undefined || since.epoch !== end.epoch) return undefined;
  if (since.generation < disk.epoch.oldest || since.generation > end.generation) return undefined;
  // A snapshot's generation began with it: what that has came after it.
  const last = snapshot === undefined ? end.generation : end.generation - 1;
  return Array.from({ length: last - since.generation + 1 }, (_, index) => since.generation + index);
}
