/**
 * Persistence: where services keep what must outlive the process. A structural subset of a document store.
 *
 * A batch is applied whole or not at all, in the order of calls; one that resolved is durable. Keys of a collection
 * are ordered by UTF-16 code unit. Documents are JSON values.
 */
export interface Persistence {
  get<T = unknown>(collection: string, key: string): Promise<T | undefined>;
  list<T = unknown>(collection: string, range?: PersistenceRange): Promise<PersistenceEntry<T>[]>;
  transact(writes: readonly PersistenceWrite[]): Promise<void>;
}

export interface PersistenceRange {
  /** Smallest key, included. */
  readonly from?: string;
  /** Largest key, excluded. */
  readonly to?: string;
  readonly reverse?: boolean;
  readonly limit?: number;
}

export interface PersistenceEntry<T> {
  readonly key: string;
  readonly value: T;
}

export type PersistenceWrite =
  | { readonly put: { readonly collection: string; readonly key: string; readonly value: unknown } }
  | { readonly delete: { readonly collection: string; readonly key: string } }
  | { readonly deleteRange: { readonly collection: string; readonly from?: string; readonly to?: string } };

/** A key that sorts as its number does: 12 digits. */
export function numberKey(number: number): string {
  return String(number).padStart(12, '0');
}
