import type { VmdkErrorCode } from '../errors.ts';
import type { SettleGrainsOptions } from './settle-grains.ts';
import type { StreamPlace } from './stream-file.ts';

export type SettleDigestAlgorithm = 'sha1' | 'sha256' | 'sha512';

/** What a thread is to do. */
export type SettleOrder = {
  readonly pace: SharedArrayBuffer;
  /** Goes at the priority of the process, not at the lowest. */
  readonly urgent?: boolean;
} & (
  | ({ readonly kind: 'grains' } & SettleGrainsOptions)
  | { readonly kind: 'tables'; readonly source: StreamPlace }
  | { readonly kind: 'check'; readonly source: StreamPlace }
  | { readonly kind: 'digest'; readonly source: StreamPlace; readonly algorithm: SettleDigestAlgorithm }
);

/** What it says; after all but `progress` it ends. */
export type SettleAnswer =
  | { readonly kind: 'progress'; readonly doneBytes: number }
  | { readonly kind: 'done'; readonly digest?: string; readonly virtualBytes?: number }
  | { readonly kind: 'stopped' }
  | {
      readonly kind: 'failed';
      readonly code: VmdkErrorCode;
      readonly file: string;
      readonly message: string;
      /** What the operating system said, such as ENOSPC. */
      readonly systemCode?: string;
    };
