import type { Block } from '@hypostyle/vmdk';

/** Media type of a bundle: files and folders as one stream, with what is stored of them alone, and digests. */
export const bundleType = 'application/vnd.hypostyle.bundle';

/** Bytes at the start of every bundle: what it is, and its version. */
export const bundleMagic = Buffer.from('HYPOBDL1', 'latin1');

/** Longest content of one frame of data, and of any other frame, in bytes. */
export const longestData = 2 ** 20;
export const longestHeader = 64 * 2 ** 10;

/** Most entries of a bundle, and names below one another in a path. */
export const mostEntries = 100_000;
export const deepestPath = 32;

/** Kinds of frames. A frame is its kind in one byte, its length in four, and its content. */
export const frames = {
  /** What all of it takes: `{"storedBytes": …}`. First. */
  total: 0x54,
  /** A file or folder begins: an `EntryHeader`. */
  entry: 0x45,
  /** Eight bytes of offset, then what is there. In order, and without gaps only where there are none. */
  data: 0x44,
  /** The file ends: SHA-256 over the contents of its frames of data. */
  digest: 0x48,
  /**
   * All of it ends: how many entries there were, in four bytes, and SHA-256 over what was said first and of each entry.
   * Without it, the bundle was cut off.
   */
  end: 0x5a,
} as const;

/** What a bundle says of a file or folder before its bytes. */
export interface EntryHeader {
  /** Below what is sent, `/` between names; empty for what is sent itself, which comes first. */
  readonly path: string;
  readonly kind: 'file' | 'folder';
  /** Length of a file in bytes; 0 for a folder. */
  readonly size: number;
  /** Permissions of a file. */
  readonly mode?: number;
  /** What nothing is said of has its room all the same: it is written as zeros. */
  readonly full?: boolean;
}

/** A file or folder that is to be sent. */
export interface BundleEntry extends EntryHeader {
  /** Stretches that are not all zero, in order. Absent for a folder. */
  content?(signal: AbortSignal): AsyncIterable<Block>;
}

/** What is to be sent. */
export interface Bundle {
  /** Bytes that it will take where it comes to, as far as is known. */
  readonly storedBytes: number;
  readonly entries: Iterable<BundleEntry> | AsyncIterable<BundleEntry>;
}
