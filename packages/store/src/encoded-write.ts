import type { StoreRange, StoreWrite } from '@hypostyle/contracts';
import { StoreError } from './errors.ts';

/** A write with its value already in JSON, taken when the call is made. */
export type EncodedWrite =
  | { readonly kind: 'put'; readonly collection: string; readonly key: string; readonly json: string }
  | { readonly kind: 'delete'; readonly collection: string; readonly key: string }
  | {
      readonly kind: 'deleteRange';
      readonly collection: string;
      readonly from: string | undefined;
      readonly to: string | undefined;
    }
  | { readonly kind: 'check'; readonly collection: string; readonly key: string; readonly exists: boolean };

export interface ListRange {
  readonly from: string | undefined;
  readonly to: string | undefined;
  readonly reverse: boolean;
  readonly limit: number | undefined;
}

/** A write as a driver applies it. Throws `StoreError` `invalid` when the value is not JSON; `path` names the store. */
export function encodeWrite(write: StoreWrite, path: string): EncodedWrite {
  if ('delete' in write) return { kind: 'delete', ...write.delete };
  if ('check' in write) return { kind: 'check', ...write.check };
  if ('deleteRange' in write) {
    const { collection, from, to } = write.deleteRange;
    return { kind: 'deleteRange', collection, from, to };
  }
  const { collection, key, value } = write.put;
  return { kind: 'put', collection, key, json: toJson(value, path, `${collection}/${key}`) };
}

/** A range with its defaults. Throws `StoreError` `invalid` when the limit is not a whole number from 0. */
export function encodeRange({ from, to, reverse = false, limit }: StoreRange, path: string): ListRange {
  if (limit !== undefined && !(Number.isSafeInteger(limit) && limit >= 0)) {
    throw new StoreError('invalid', path, `a limit of ${limit}`);
  }
  return { from, to, reverse, limit };
}

function toJson(value: unknown, path: string, name: string): string {
  let json: string | undefined;
  let reason = 'not a JSON value';
  try {
    json = JSON.stringify(value);
  } catch (error) {
    reason = error instanceof Error ? error.message : String(error);
  }
  if (json === undefined) throw new StoreError('invalid', path, `${name}: ${reason}`);
  return json;
}
