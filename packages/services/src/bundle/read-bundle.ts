import { createHash, type Hash } from 'node:crypto';
import { BundleDamage } from './bundle-damage.ts';
import { bundleMagic, type EntryHeader, frames, longestData, longestHeader, mostEntries } from './bundle-entry.ts';
import { isSubsequentPath, parseHeader, parseTotal } from './bundle-header.ts';
import { ByteTaker } from './byte-taker.ts';

/** What a bundle says, piece by piece. */
export type BundleEvent =
  | { readonly kind: 'total'; readonly storedBytes: number }
  | { readonly kind: 'entry'; readonly header: EntryHeader }
  | { readonly kind: 'data'; readonly offset: number; readonly data: Uint8Array }
  /** The file that was begun last is whole, and its digest right. */
  | { readonly kind: 'whole' };

/**
 * Reads a bundle. What it says of paths, sizes and offsets is checked, nothing is held but one frame. Throws
 * `BundleDamage` for what is none, was cut off, or was changed on the way; it is whole when this ends.
 */
export async function* readBundle(body: AsyncIterable<Uint8Array>): AsyncGenerator<BundleEvent, void, undefined> {
  const taker = new ByteTaker(body);
  try {
    if (!(await taker.take(bundleMagic.length)).equals(bundleMagic)) throw new BundleDamage('it is no bundle of files');
    const first = await nextFrame(taker);
    if (first.kind !== frames.total) throw new BundleDamage('it does not say first what it takes');
    yield { kind: 'total', storedBytes: parseTotal(first.content) };
    yield* entries(taker, createHash('sha256').update(first.content));
    if (!(await taker.isAtEnd())) throw new BundleDamage('something follows its end');
  } finally {
    await taker.close();
  }
}

/** What a bundle says that it takes, by its first bytes; undefined while they are too few, or are none of a bundle. */
export function totalOf(start: Uint8Array): number | undefined {
  const bytes = Buffer.from(start.buffer, start.byteOffset, start.byteLength);
  const at = bundleMagic.length;
  if (bytes.length < at + 5 || bytes.readUInt8(at) !== frames.total) return undefined;
  const end = at + 5 + bytes.readUInt32BE(at + 1);
  return bytes.length < end ? undefined : parseTotal(bytes.subarray(at + 5, end));
}

interface OpenFile {
  readonly header: EntryHeader;
  readonly hash: Hash;
  /** Where the last stretch ended. */
  at: number;
}

async function* entries(taker: ByteTaker, said: Hash): AsyncGenerator<BundleEvent, void, undefined> {
  const folders = new Set<string>();
  let count = 0;
  let file: OpenFile | undefined;
  for (;;) {
    const { kind, content } = await nextFrame(taker);
    if (kind === frames.entry) {
      if (file !== undefined) throw new BundleDamage(`'${file.header.path}' does not end`);
      const header = parseHeader(content);
      said.update(content);
      count += 1;
      if (count > mostEntries) throw new BundleDamage(`it has more than ${mostEntries} files`);
      if (!isSubsequentPath(header.path, folders, count === 1))
        throw new BundleDamage(`'${header.path.slice(0, 200)}' is in no folder of it`);
      if (header.kind === 'folder') folders.add(header.path);
      else file = { header, hash: createHash('sha256'), at: 0 };
      yield { kind: 'entry', header };
    } else if (kind === frames.data) {
      if (file === undefined) throw new BundleDamage('it has bytes of no file');
      yield stretch(file, content);
    } else if (kind === frames.digest) {
      if (file === undefined) throw new BundleDamage('it has a digest of no file');
      if (!file.hash.digest().equals(content))
        throw new BundleDamage(`'${file.header.path}' has another digest: it was changed on the way`);
      file = undefined;
      yield { kind: 'whole' };
    } else if (kind === frames.end) {
      if (file !== undefined || count === 0 || content.length !== 36 || content.readUInt32BE() !== count)
        throw new BundleDamage('it ends before it is whole');
      if (!said.digest().equals(content.subarray(4)))
        throw new BundleDamage('what it says of its files was changed on the way');
      return;
    } else throw new BundleDamage(`it has a frame of kind ${kind}`);
  }
}

function stretch(file: OpenFile, content: Buffer): BundleEvent {
  if (content.length <= 8) throw new BundleDamage('a stretch has no bytes');
  const offset = Number(content.readBigUInt64BE());
  const data = content.subarray(8);
  if (offset < file.at || offset + data.length > file.header.size)
    throw new BundleDamage(`'${file.header.path}' has bytes out of place`);
  file.at = offset + data.length;
  file.hash.update(content);
  return { kind: 'data', offset, data };
}

async function nextFrame(taker: ByteTaker): Promise<{ readonly kind: number; readonly content: Buffer }> {
  const head = await taker.take(5);
  const kind = head.readUInt8();
  const length = head.readUInt32BE(1);
  if (length > (kind === frames.data ? longestData + 8 : longestHeader))
    throw new BundleDamage(`it has a frame of ${length} bytes`);
  return { kind, content: await taker.take(length) };
}
