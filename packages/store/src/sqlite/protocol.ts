import type { EncodedWrite, ListRange } from '../encoded-write.ts';
import type { StoreErrorCode } from '../errors.ts';

/** What the worker is started with. */
export interface WorkerSettings {
  readonly path: string;
  readonly readOnly: boolean;
}

export type Request =
  | { readonly id: number; readonly kind: 'transact'; readonly writes: readonly EncodedWrite[] }
  | { readonly id: number; readonly kind: 'get'; readonly collection: string; readonly key: string }
  | { readonly id: number; readonly kind: 'list'; readonly collection: string; readonly range: ListRange }
  | { readonly id: number; readonly kind: 'close' };

export type TransactRequest = Extract<Request, { kind: 'transact' }>;

/** Documents as JSON, in pages small enough to parse one without holding up the event loop. */
export type Page = readonly { readonly key: string; readonly json: string }[];

export type Failure =
  | { readonly kind: 'conflict'; readonly collection: string; readonly key: string }
  | { readonly kind: 'error'; readonly code: StoreErrorCode; readonly detail: string | undefined };

/** `id` 0 answers the opening. */
export interface Reply {
  readonly id: number;
  readonly json?: string | undefined;
  readonly pages?: readonly Page[];
  readonly failure?: Failure;
}
