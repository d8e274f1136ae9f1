import type { FileReference } from '../../envelope/envelope.ts';
import type { TarEntry } from './tar-entries.ts';

/** A file in a streamed archive. */
export interface OvaFile extends TarEntry {
  /** The reference that it is, or is a chunk of; absent when it is not in References. */
  readonly reference?: FileReference;
  /**
   * The bytes, once. Ends with an error when the archive is truncated, or when the digest is not the one of a manifest that came
   * before. What is not read is passed over, and still counts for the digest.
   */
  readonly content: AsyncIterable<Uint8Array>;
}

/** A referenced file of a streamed archive, whole. */
export interface OvaContent {
  readonly reference: FileReference;
  readonly content: AsyncIterable<Uint8Array>;
}
