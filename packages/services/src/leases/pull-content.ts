import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { indexOva, type ManifestEntry, OvfError, parseManifest, type TarEntry } from '@hypostyle/ovf';
import type { HttpNfcLeaseSourceFile, KeyValue } from '@hypostyle/vim';
import { faults } from '../errors.ts';
import type { LocalContent, ReceiveOptions } from './transfer-target.ts';

const pieceBytes = 2 ** 20;
const largestManifest = 4 * 2 ** 20;
const algorithms = { SHA1: 'sha1', SHA256: 'sha256', SHA512: 'sha512' } as const;
/** Names of digests in a `Digest` header (RFC 3230), and how long each is in bytes. */
const headerAlgorithms = { sha: ['sha1', 20], 'sha-256': ['sha256', 32], 'sha-512': ['sha512', 64] } as const;

/**
 * The content that a source file of a pull names, in a file of this computer: a member of an archive, whose manifest
 * says its digest, or the whole file, whose digest the client may say in a `Digest` header. Throws FileNotFound,
 * NotSupported, and what an archive that cannot be read is.
 */
export async function localContent(
  path: string,
  shown: string,
  { memberName, httpHeaders = [] }: HttpNfcLeaseSourceFile,
): Promise<LocalContent> {
  if (memberName === undefined || memberName === '') {
    const digest = headerDigest(httpHeaders);
    return { path, offset: 0, length: await bytesOf(path), name: shown, ...(digest === undefined ? {} : { digest }) };
  }
  const entries = await indexOva(path).catch((error: unknown) => {
    const reason = error instanceof Error ? error.message : String(error);
    throw faults.incorrectFileType(shown, reason, error);
  });
  const member = entries.find(({ name }) => name === memberName);
  if (member === undefined) throw faults.notFound(`${memberName} in ${shown}`);
  const manifest = await manifestOf(path, shown, entries);
  const promised = manifest?.find(({ file }) => file === memberName);
  if (manifest !== undefined && promised === undefined)
    throw faults.incorrectFileType(`${memberName} in ${shown}`, 'the manifest leaves it out');
  return {
    path,
    offset: member.offset,
    length: member.size,
    name: `${memberName} in ${shown}`,
    ...(promised === undefined
      ? {}
      : { digest: { algorithm: algorithms[promised.algorithm], expected: promised.digest } }),
  };
}

/** Undefined where there is none; one that cannot be read must not make every disk one without a digest. */
async function manifestOf(
  path: string,
  shown: string,
  entries: readonly TarEntry[],
): Promise<readonly ManifestEntry[] | undefined> {
  const entry = entries.find(({ name }) => /\.mf$/i.test(name));
  if (entry === undefined) return undefined;
  const name = `${entry.name} in ${shown}`;
  if (entry.size > largestManifest) throw faults.incorrectFileType(name, `it has more than ${largestManifest} bytes`);
  const file = await open(path, 'r');
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(entry.size), 0, entry.size, entry.offset);
    return parseManifest(buffer.subarray(0, bytesRead), entry.name).entries;
  } catch (error) {
    if (!(error instanceof OvfError)) throw error;
    throw faults.incorrectFileType(name, error.message, error);
  } finally {
    await file.close();
  }
}

async function bytesOf(path: string): Promise<number> {
  const file = await open(path, 'r');
  try {
    return (await file.stat()).size;
  } finally {
    await file.close();
  }
}

/** What a client's `Digest` header says. */
export function headerDigest(headers: readonly KeyValue[]): LocalContent['digest'] {
  const value = headers.find(({ key }) => key.toLowerCase() === 'digest')?.value ?? '';
  for (const part of value.split(',')) {
    const [name = '', ...rest] = part.trim().split('=');
    const known = Object.entries(headerAlgorithms).find(([key]) => key === name.toLowerCase())?.[1];
    if (known === undefined) continue;
    const bytes = Buffer.from(rest.join('='), 'base64');
    if (bytes.length === known[1]) return { algorithm: known[0], expected: bytes.toString('hex') };
  }
  return undefined;
}

/** The bytes of a content, which renew the lease as they pass; `IncorrectFileType` at the end where its digest is another. */
export async function* readContent(
  content: LocalContent,
  { signal, onBytes }: Pick<ReceiveOptions, 'signal' | 'onBytes'>,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { path, offset, length, name, digest } = content;
  const hash = digest === undefined ? undefined : createHash(digest.algorithm);
  const file = await open(path, 'r');
  try {
    for (let done = 0; done < length; ) {
      signal.throwIfAborted();
      const piece = Buffer.allocUnsafe(Math.min(pieceBytes, length - done));
      const { bytesRead } = await file.read(piece, 0, piece.length, offset + done);
      if (bytesRead === 0) throw faults.incorrectFileType(name, 'it ended while it was read');
      const read = piece.subarray(0, bytesRead);
      hash?.update(read);
      onBytes(bytesRead);
      done += bytesRead;
      // The last piece is given out once all of it is known to be right.
      if (done === length && hash !== undefined) {
        const actual = hash.digest('hex');
        if (actual !== digest?.expected)
          throw faults.incorrectFileType(name, `its ${digest?.algorithm} is ${actual}, not ${digest?.expected}`);
      }
      yield read;
    }
  } finally {
    await file.close();
  }
}
