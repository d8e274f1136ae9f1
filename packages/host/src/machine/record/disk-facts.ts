import type { DiskLink } from '@hypostyle/services';

/** What a disk's descriptors say, by device key. */
export interface DiskFacts {
  readonly capacityBytes: number;
  readonly thin: boolean;
  readonly uuid: string | undefined;
  readonly contentId: string;
  /** Some of its bytes are still in the compressed file that it came in. */
  readonly settling: boolean;
  /** Paths in the machine's datastore of the files of each link, top first. */
  readonly chain: readonly (readonly string[])[];
  /** What each link is: only our own deltas, and flat disks, are ever written. */
  readonly kinds: readonly DiskLink['kind'][];
  /** CID of each link, eight hexadecimal digits. */
  readonly contentIds: readonly string[];
  /** False when a file of the chain is missing or damaged; then `problem` says which and why. */
  readonly problem: string | undefined;
}
