import { createHash, type Hash } from 'node:crypto';
import { Readable, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { OvfError } from '../../errors.ts';
import type { ManifestSigner } from '../../signature/sign-manifest.ts';
import { type DigestAlgorithm, formatManifest } from '../digests/manifest.ts';
import { packageName } from '../package-name.ts';
import { certificateNameOf, manifestNameOf } from '../stored-files.ts';
import { tarBlock } from './tar-header.ts';
import { formatTarHeader } from './tar-header-writer.ts';

/** A file to be put in an archive. `open` is called once for each pass over its bytes. */
export interface OvaInput {
  readonly name: string;
  /** Bytes; the tar header needs it before the content. */
  readonly size: number;
  open(): AsyncIterable<Uint8Array>;
}

export interface OvaOutput {
  /** File name of the descriptor, ending in `.ovf`; the manifest takes its stem. */
  readonly descriptorName: string;
  readonly descriptor: string | Uint8Array;
  /** In the order of References. */
  readonly files: readonly OvaInput[];
  /** Algorithm of the manifest, SHA256; `false` leaves the manifest out. */
  readonly digest?: DigestAlgorithm | false;
  /**
   * `end` reads every file once and writes the manifest last; `start` reads every file twice and writes it after the
   * descriptor. DSP0243 5.3 allows both; `end` by default.
   */
  readonly manifestAt?: 'start' | 'end';
  /** Signs the manifest; the certificate follows it. */
  readonly signer?: ManifestSigner;
  /** Manifest and certificate as they are, in place of new ones; right behind the descriptor. */
  readonly kept?: KeptManifest;
  readonly signal?: AbortSignal;
}

/** A manifest that stays, with the certificate that may sign it. */
export interface KeptManifest {
  readonly manifest: Uint8Array;
  readonly certificate?: Uint8Array;
}

/**
 * Writes an OVA (DSP0243 5.3) in constant memory, and ends the stream. Throws `name-unsafe`, `size-mismatch` for a file
 * that is not as long as it said, `digest-mismatch` for one that changed between two passes; the stream is destroyed then.
 */
export async function writeOva(output: Writable, ova: OvaOutput): Promise<void> {
  const names = new Set<string>();
  if (!/\.ovf$/i.test(ova.descriptorName)) {
    throw new OvfError('name-unsafe', 'the name of a descriptor ends in .ovf', { file: ova.descriptorName });
  }
  const ownNames = [manifestNameOf(ova.descriptorName), certificateNameOf(ova.descriptorName)];
  for (const name of [ova.descriptorName, ...ownNames, ...ova.files.map((file) => file.name)]) {
    if (packageName(name) !== name || names.has(name)) {
      throw new OvfError('name-unsafe', `the name ${JSON.stringify(name)} cannot be used, or is used twice`);
    }
    names.add(name);
  }
  const options = ova.signal === undefined ? {} : { signal: ova.signal };
  await pipeline(Readable.from(archiveOf(ova), { objectMode: false }), output, options);
}

async function* archiveOf(ova: OvaOutput): AsyncGenerator<Uint8Array> {
  const { files, kept, signer, manifestAt = 'end' } = ova;
  const digest = kept === undefined ? (ova.digest ?? 'SHA256') : false;
  const descriptor = typeof ova.descriptor === 'string' ? Buffer.from(ova.descriptor, 'utf8') : ova.descriptor;
  const digests = new Map<string, string>();
  const hasher = () => createHash((digest || 'SHA256').toLowerCase());
  const manifestName = manifestNameOf(ova.descriptorName);
  const certificateName = certificateNameOf(ova.descriptorName);
  const ownFiles = async function* (own: KeptManifest) {
    yield* entryOf(bytesInput(manifestName, own.manifest));
    if (own.certificate !== undefined) yield* entryOf(bytesInput(certificateName, own.certificate));
  };
  const newManifest = (): KeptManifest => {
    const entries = [...digests].map(([file, hash]) => ({ algorithm: digest || 'SHA256', file, digest: hash }));
    const manifest = Buffer.from(formatManifest({ entries }), 'utf8');
    return { manifest, ...(signer === undefined ? {} : { certificate: signer.sign(manifest, manifestName) }) };
  };

  const hash = hasher();
  yield* entryOf(bytesInput(ova.descriptorName, descriptor), hash);
  digests.set(ova.descriptorName, hash.digest('hex'));
  if (kept !== undefined) yield* ownFiles(kept);
  if (digest !== false && manifestAt === 'start') {
    for (const file of files) {
      const first = hasher();
      for await (const part of file.open()) first.update(part);
      digests.set(file.name, first.digest('hex'));
    }
    yield* ownFiles(newManifest());
  }
  for (const file of files) {
    const second = digest === false ? undefined : hasher();
    yield* entryOf(file, second);
    if (second === undefined) continue;
    const value = second.digest('hex');
    if ((digests.get(file.name) ?? value) !== value) {
      throw new OvfError('digest-mismatch', 'the file changed while it was written', { file: file.name });
    }
    digests.set(file.name, value);
  }
  if (digest !== false && manifestAt === 'end') yield* ownFiles(newManifest());
  yield Buffer.alloc(2 * tarBlock);
}

export function bytesInput(name: string, bytes: Uint8Array): OvaInput {
  return {
    name,
    size: bytes.length,
    open: async function* () {
      yield bytes;
    },
  };
}

/** One file of the archive: header, content, padding. Throws `size-mismatch`. */
export async function* entryOf({ name, size, open }: OvaInput, hash?: Hash): AsyncGenerator<Uint8Array> {
  if (!Number.isSafeInteger(size) || size < 0) {
    throw new OvfError('size-mismatch', `${size} is not a size`, { file: name });
  }
  yield formatTarHeader(name, size);
  let written = 0;
  for await (const part of open()) {
    written += part.length;
    if (written > size) break;
    hash?.update(part);
    if (part.length > 0) yield part;
  }
  if (written !== size) {
    throw new OvfError('size-mismatch', `the file has not the ${size} bytes that it should`, { file: name });
  }
  const rest = size % tarBlock;
  if (rest > 0) yield Buffer.alloc(tarBlock - rest);
}
