import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import type { Envelope, FileReference } from '../../envelope/envelope.ts';
import { OvfError } from '../../errors.ts';
import { FileDigest } from '../digests/file-digests.ts';
import type { ManifestEntry } from '../digests/manifest.ts';
import type { ByteRange, PackageSource } from '../package-source.ts';

type Digests = ReadonlyMap<string, ManifestEntry>;

/** Stored files one after another, each checked against the manifest at its end. Throws `digest-mismatch`. */
export async function* readStored(
  source: PackageSource,
  names: readonly string[],
  digests: Digests | undefined,
): AsyncGenerator<Uint8Array> {
  for (const name of names) {
    const entry = digests?.get(name);
    const digest = new FileDigest(entry === undefined ? [] : [entry.algorithm]);
    for await (const part of source.read(name)) {
      digest.update(part);
      yield part;
    }
    if (digests !== undefined && entry !== undefined) checkDigest(name, digest.finish().get(entry.algorithm), digests);
  }
}

/** A part of what stored files hold one after another, without their digests. Throws `file-missing`. */
export async function* readStoredRange(
  source: PackageSource,
  names: readonly string[],
  { start = 0, length = Number.POSITIVE_INFINITY }: ByteRange,
): AsyncGenerator<Uint8Array> {
  const [only] = names;
  if (names.length === 1) {
    yield* source.read(only!, { start, ...(Number.isFinite(length) ? { length } : {}) });
    return;
  }
  let before = 0;
  for (const name of names) {
    const size = await source.size(name);
    if (typeof size !== 'number') {
      throw new OvfError('file-missing', 'a chunk whose size is not known cannot be read in part', { file: name });
    }
    const first = Math.max(0, start - before);
    const last = Math.min(size, start + length - before);
    if (first < last) yield* source.read(name, { start: first, length: last - first });
    before += size;
  }
}

/** Throws `manifest-invalid` for a file that the manifest leaves out, `digest-mismatch`. */
export function checkDigest(name: string, actual: string | undefined, digests: Digests): void {
  const entry = digests.get(name);
  if (entry === undefined) throw new OvfError('manifest-invalid', 'the manifest leaves out this file', { file: name });
  if (actual !== entry.digest) {
    const detail = `${entry.algorithm} is ${actual}, the manifest says ${entry.digest}`;
    throw new OvfError('digest-mismatch', detail, { file: name });
  }
}

/** Undoes `ovf:compression`. Throws `archive-invalid` for damage, `archive-limit` for more than `maxLength` bytes. */
export async function* inflated(
  stored: AsyncIterable<Uint8Array>,
  href: string,
  maxLength = Number.POSITIVE_INFINITY,
): AsyncGenerator<Uint8Array> {
  const gunzip = createGunzip({ chunkSize: 256 * 1024 });
  // The pipeline's failure reaches the reader through the stream that it destroys.
  const pumped = pipeline(stored, gunzip).catch(() => undefined);
  let length = 0;
  try {
    for await (const part of gunzip) {
      length += (part as Uint8Array).length;
      if (length > maxLength) {
        const detail = `it inflates to more than ${maxLength} bytes, which its disk cannot need`;
        throw new OvfError('archive-limit', detail, { file: href });
      }
      yield part as Uint8Array;
    }
  } catch (error) {
    // What a reader of the stored bytes found is said as it is; the rest is of the compression.
    if (!(error instanceof Error) || !('code' in error) || !/^Z_|^ERR_/.test(String(error.code))) throw error;
    throw new OvfError('archive-invalid', 'the compressed content is damaged', { file: href }, { cause: error });
  } finally {
    gunzip.destroy();
    await pumped;
  }
}

const mebibyte = 2 ** 20;

/** Bytes that a compressed file may inflate to: twice the capacity of its disks, for one that is a disk. */
export function maxInflatedLength(envelope: Envelope, file: FileReference): number | undefined {
  const capacities = (envelope.diskSection?.disks ?? []).flatMap(({ fileId, capacity }) =>
    fileId !== file.id || !('bytes' in capacity) ? [] : [capacity.bytes],
  );
  return capacities.length === 0 ? undefined : 2 * Math.max(...capacities) + 64 * mebibyte;
}
