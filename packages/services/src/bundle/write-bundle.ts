import { createHash } from 'node:crypto';
import { type Bundle, type BundleEntry, bundleMagic, type EntryHeader, frames, longestData } from './bundle-entry.ts';

/** A bundle as a stream. Rejects with what reading its files rejects with, and with the signal's reason. */
export async function* writeBundle(bundle: Bundle, signal: AbortSignal): AsyncGenerator<Uint8Array, void, undefined> {
  yield bundleMagic;
  const said = createHash('sha256');
  const total = Buffer.from(JSON.stringify({ storedBytes: bundle.storedBytes }));
  said.update(total);
  yield* frame(frames.total, total);
  let count = 0;
  for await (const entry of bundle.entries) {
    signal.throwIfAborted();
    count += 1;
    const header = Buffer.from(JSON.stringify(headerOf(entry)));
    said.update(header);
    yield* frame(frames.entry, header);
    if (entry.content !== undefined) yield* contentOf(entry.content(signal), signal);
  }
  const end = Buffer.alloc(4);
  end.writeUInt32BE(count);
  yield* frame(frames.end, end, said.digest());
}

function headerOf({ path, kind, size, mode, full }: BundleEntry): EntryHeader {
  return {
    path,
    kind,
    size,
    ...(mode === undefined ? {} : { mode }),
    ...(full === undefined ? {} : { full }),
  };
}

async function* contentOf(
  blocks: AsyncIterable<{ readonly offset: number; readonly data: Uint8Array }>,
  signal: AbortSignal,
) {
  const hash = createHash('sha256');
  for await (const { offset, data } of blocks) {
    for (let at = 0; at < data.length; at += longestData) {
      signal.throwIfAborted();
      const piece = data.subarray(at, at + longestData);
      const place = Buffer.alloc(8);
      place.writeBigUInt64BE(BigInt(offset + at));
      hash.update(place).update(piece);
      yield* frame(frames.data, place, piece);
    }
  }
  yield* frame(frames.digest, hash.digest());
}

function* frame(kind: number, ...contents: readonly Uint8Array[]): Generator<Uint8Array, void, undefined> {
  const head = Buffer.alloc(5);
  head.writeUInt8(kind);
  head.writeUInt32BE(
    contents.reduce((sum, { length }) => sum + length, 0),
    1,
  );
  yield head;
  yield* contents;
}
