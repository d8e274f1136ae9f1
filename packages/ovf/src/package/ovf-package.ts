import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import type { Envelope, FileReference } from '../envelope/envelope.ts';
import { readEnvelope } from '../envelope/envelope-reader.ts';
import { OvfError, type OvfWarning } from '../errors.ts';
import { FileDigest } from './file-digests.ts';
import { FileSet } from './file-set.ts';
import { type Manifest, type ManifestEntry, parseManifest } from './manifest.ts';
import { defaultMaxLength, type PackageOptions } from './ova-reader.ts';
import { isExternal } from './package-name.ts';
import { orderWarnings } from './package-order.ts';
import { type ByteRange, folderSource, ovaSource, type PackageSource } from './package-source.ts';
import { certificateNameOf, manifestNameOf, readWhole, storedFiles } from './stored-files.ts';

/** How {@link OvfPackage.open} reads. */
export interface OpenOptions {
  /** Undo `ovf:compression`; yes unless a range is asked for. */
  readonly decompress?: boolean;
  /** A part of the stored bytes; its digest is not checked, and it is not decompressed. */
  readonly range?: ByteRange;
}

/** A package that can be read in any order: an OVA on disk, a folder, or a source of the caller's. */
export interface OvfPackage {
  readonly source: PackageSource;
  readonly descriptorName: string;
  readonly descriptor: Uint8Array;
  readonly envelope: Envelope;
  readonly manifest: Manifest | undefined;
  readonly manifestBytes: Uint8Array | undefined;
  readonly certificateBytes: Uint8Array | undefined;
  readonly warnings: readonly OvfWarning[];
  /** Stored names of a referenced file, one unless it is chunked. Throws `file-missing`. */
  storedNames(reference: FileReference): string[];
  /**
   * Content of a referenced file by href: chunks joined, decompressed, checked against the manifest at the end of each stored file.
   * Throws `file-missing`, `name-unsafe`; while reading `digest-mismatch`.
   */
  open(href: string, options?: OpenOptions): AsyncIterable<Uint8Array>;
  close(): Promise<void>;
}

/** Opens a local `.ova` or `.ovf`, by its extension. */
export async function openOvf(path: string, options: PackageOptions = {}): Promise<OvfPackage> {
  const source = await (/\.ovf$/i.test(path) ? folderSource(path) : ovaSource(path, options));
  return openPackage(source, options);
}

/** Opens a package: reads descriptor, manifest and certificate, checks the descriptor's digest, and that every file is there. */
export async function openPackage(source: PackageSource, options: PackageOptions = {}): Promise<OvfPackage> {
  try {
    return await openChecked(source, options);
  } catch (error) {
    await source.close();
    throw error;
  }
}

async function openChecked(source: PackageSource, options: PackageOptions): Promise<OvfPackage> {
  const { descriptorName } = source;
  const maxManifestLength = options.maxManifestLength ?? defaultMaxLength;
  const descriptor = await readWhole(source, descriptorName, options.maxDescriptorLength ?? defaultMaxLength);
  if (descriptor === undefined) throw new OvfError('file-missing', 'there is no descriptor', { file: descriptorName });
  const manifestName = manifestNameOf(descriptorName);
  const certificateName = certificateNameOf(descriptorName);
  const manifestBytes = await readWhole(source, manifestName, maxManifestLength);
  const certificateBytes = await readWhole(source, certificateName, maxManifestLength);
  const manifest = manifestBytes && parseManifest(manifestBytes, manifestName);
  const digests = manifest && new Map(manifest.entries.map((entry) => [entry.file, entry]));
  if (digests !== undefined) {
    checkDigest(descriptorName, digestOf(digests, descriptorName, descriptor), digests);
  }
  const envelope = await readEnvelope(descriptor, { fileName: descriptorName });
  const files = new FileSet(envelope, options.allowUnreferenced ?? false);
  const order = source.names === undefined ? [] : orderWarnings(source.names, descriptorName, envelope);
  const ownFiles = new Set([descriptorName, manifestName, certificateName]);
  for (const name of source.names ?? (await storedFiles(source, envelope))) {
    if (!ownFiles.has(name)) files.add(name, (await source.size(name)) ?? null);
    if (digests !== undefined && name !== manifestName && name !== certificateName && !digests.has(name)) {
      throw new OvfError('manifest-invalid', 'the manifest leaves out this file', { file: name });
    }
  }
  files.finish();
  for (const name of digests?.keys() ?? []) {
    if ((await source.size(name)) === undefined) {
      throw new OvfError('file-missing', `the manifest names ${name}, which is not in the package`, { file: name });
    }
  }
  return {
    source,
    descriptorName,
    descriptor,
    envelope,
    manifest,
    manifestBytes,
    certificateBytes,
    warnings: [...envelope.warnings, ...(source.warnings ?? []), ...order, ...files.warnings],
    storedNames: (reference) => files.storedNames(reference),
    open: (href, openOptions = {}) => openFile(source, envelope, files, digests, href, openOptions),
    close: () => source.close(),
  };
}

function digestOf(digests: ReadonlyMap<string, ManifestEntry>, name: string, bytes: Uint8Array): string | undefined {
  const entry = digests.get(name);
  if (entry === undefined) return undefined;
  const digest = new FileDigest([entry.algorithm]);
  digest.update(bytes);
  return digest.finish().get(entry.algorithm);
}

function checkDigest(name: string, actual: string | undefined, digests: ReadonlyMap<string, ManifestEntry>): void {
  const entry = digests.get(name);
  if (entry === undefined) throw new OvfError('manifest-invalid', 'the manifest leaves out this file', { file: name });
  if (actual !== entry.digest) {
    const detail = `${entry.algorithm} is ${actual}, the manifest says ${entry.digest}`;
    throw new OvfError('digest-mismatch', detail, { file: name });
  }
}

function openFile(
  source: PackageSource,
  envelope: Envelope,
  files: FileSet,
  digests: ReadonlyMap<string, ManifestEntry> | undefined,
  href: string,
  { range, decompress = range === undefined }: OpenOptions,
): AsyncIterable<Uint8Array> {
  const reference = envelope.files.find((file) => file.href === href);
  if (reference === undefined) throw new OvfError('file-missing', 'the file is not in References', { file: href });
  if (isExternal(href)) throw new OvfError('name-unsafe', 'the file lies outside of the package', { file: href });
  const names = files.storedNames(reference);
  if (range !== undefined) {
    if (names.length === 1) return source.read(names[0]!, range);
    throw new OvfError('file-missing', 'a chunked file cannot be read in part', { file: href });
  }
  const stored = readStored(source, names, digests);
  return decompress && reference.compression === 'gzip' ? gunzip(stored, href) : stored;
}

async function* readStored(
  source: PackageSource,
  names: readonly string[],
  digests: ReadonlyMap<string, ManifestEntry> | undefined,
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

async function* gunzip(stored: AsyncIterable<Uint8Array>, href: string): AsyncGenerator<Uint8Array> {
  const gunzipped = createGunzip();
  // The pipeline's failure reaches the reader through the stream that it destroys.
  const pumped = pipeline(stored, gunzipped).catch(() => undefined);
  try {
    for await (const part of gunzipped) yield part as Uint8Array;
  } catch (error) {
    if (error instanceof OvfError) throw error;
    throw new OvfError('archive-invalid', 'the compressed content is damaged', { file: href }, { cause: error });
  } finally {
    gunzipped.destroy();
    await pumped;
  }
}
