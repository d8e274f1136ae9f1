/**
 * Store: durable documents, changed in atomic batches.
 *
 * A document is a JSON value under a collection and a key. Any string is a key. Keys of one collection are ordered
 * by UTF-16 code unit, as JavaScript compares strings (so U+10000 sorts before U+E000).
 * Batches are applied whole or not at all, in the order in which `transact` was called; a `transact` that resolved
 * is on disk. The writes of one batch are applied in their order, and a `check` sees those before it. Calls may be made concurrently. Reads see every batch that resolved before them.
 */
export interface Store {
  get<T = unknown>(collection: string, key: string): Promise<T | undefined>;
  /** Documents of one collection in key order. */
  list<T = unknown>(collection: string, range?: StoreRange): Promise<StoreEntry<T>[]>;
  /** Applies every write, or none: a failed `check` rejects the batch with `StoreConflict`. */
  transact(writes: readonly StoreWrite[]): Promise<void>;
  close(): Promise<void>;
}

export interface StoreRange {
  /** Smallest key, included. */
  readonly from?: string;
  /** Largest key, excluded. */
  readonly to?: string;
  readonly reverse?: boolean;
  /** Most entries to answer; none means all. */
  readonly limit?: number;
}

export interface StoreEntry<T> {
  readonly key: string;
  readonly value: T;
}

export type StoreWrite =
  | { readonly put: { readonly collection: string; readonly key: string; readonly value: unknown } }
  | { readonly delete: { readonly collection: string; readonly key: string } }
  | { readonly deleteRange: { readonly collection: string; readonly from?: string; readonly to?: string } }
  /** Holds when the document is there (`exists: true`) or not. */
  | { readonly check: { readonly collection: string; readonly key: string; readonly exists: boolean } };

/** A `check` of a batch did not hold; nothing was written. */
export class StoreConflict extends Error {
  override readonly name = 'StoreConflict';
  readonly collection: string;
  readonly key: string;

  constructor(collection: string, key: string) {
    super(`the document ${collection}/${key} is not as the batch expects it`);
    this.collection = collection;
    this.key = key;
  }
}
