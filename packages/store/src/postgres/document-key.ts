import { createHash } from 'node:crypto';
import { decodeKey, encodeKey } from '../key-encoding.ts';

/** A B-tree of PostgreSQL takes entries up to a third of its page of 8 KiB; the rest of a long key is beside it. */
const headLength = 1024;
const collectionLength = 256;
const nothing = Buffer.alloc(0);

/** A key in two columns, ordered by `head` and then by `tail`, byte by byte. */
export interface SplitKey {
  readonly head: Uint8Array;
  readonly tail: Uint8Array;
}

/** Sorts before every key, or is the first. */
export const firstKey: SplitKey = { head: nothing, tail: nothing };
/** Sorts after every key: no encoded key has this byte. */
export const afterLastKey: SplitKey = { head: Uint8Array.of(0xff), tail: nothing };

export function splitKey(key: string): SplitKey {
  const bytes = encodeKey(key);
  if (bytes.length <= headLength) return { head: bytes, tail: nothing };
  return { head: bytes.subarray(0, headLength), tail: bytes.subarray(headLength) };
}

export function joinKey({ head, tail }: SplitKey): string {
  return decodeKey(tail.length === 0 ? head : Buffer.concat([head, tail]));
}

/** The name of a collection as bytes; nobody asks for their order, so a long one is its digest. */
export function encodeCollection(collection: string): Uint8Array {
  const bytes = encodeKey(collection);
  if (bytes.length <= collectionLength) return bytes;
  return Buffer.concat([Uint8Array.of(0xff), createHash('sha256').update(bytes).digest()]);
}
