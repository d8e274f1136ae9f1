import { EncryptedFiles, isEncrypted } from '../encryption/encrypted-files.ts';
import { plainContent } from '../encryption/plain-content.ts';
import type { Envelope, FileReference } from '../envelope/envelope.ts';
import { readEnvelope } from '../envelope/envelope-reader.ts';
import { OvfError, type OvfWarning } from '../errors.ts';
import {
  inflatedOnce,
  joinedPieces,
  type RandomAccessFile,
  type RandomAccessOptions,
  type StoredPiece,
} from './content/random-access.ts';
import { checkDigest, inflated, maxInflatedLength, readStored, readStoredRange } from './content/stored-content.ts';
import { FileDigest } from './digests/file-digests.ts';
import { type Manifest, type ManifestEntry, parseManifest } from './digests/manifest.ts';
import { FileSet } from './file-set.ts';
import { isExternal } from './package-name.ts';
import { defaultMaxLength, type PackageOptions, tarLimitsOf } from './package-options.ts';
import { orderWarnings } from './package-order.ts';
import { type ByteRange, folderSource, ovaSource, type PackageSource } from './package-source.ts';
import { certificateNameOf, manifestNameOf, readWhole, storedFiles } from './stored-files.ts';

/** How {@link OvfPackage.open} reads. */
export interface OpenOptions {
  /** Undo `ovf:compression`; yes unless a range is asked for. */
  readonly decompress?: boolean;
  /** A part of the stored bytes, chunks joined; its digest is not checked, and it is neither decrypted nor decompressed. */
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
   * Content of a referenced file by href: chunks joined, decrypted, decompressed, checked against the manifest at the end of
   * each stored file. Throws `file-missing`, `name-unsafe`; while reading `digest-mismatch`, `encrypted`, `passphrase-wrong`.
   */
  open(href: string, options?: OpenOptions): AsyncIterable<Uint8Array>;
  /** A stored file as it lies there, checked against the manifest at its end. Throws as `open`. */
  openStored(name: string): AsyncIterable<Uint8Array>;
  /**
   * Content of a referenced file, to be read anywhere: where it lies, or for a compressed or encrypted one written once into
   * a scratch file. Its digest is checked only then. Throws as `open`.
   */
  openRandom(href: string, options?: RandomAccessOptions): Promise<RandomAccessFile>;
  close(): Promise<void>;
}

/** Opens a local `.ova` or `.ovf`, by its extension. */
export async function openOvf(path: string, options: PackageOptions = {}): Promise<OvfPackage> {
  const source = await (/\.ovf$/i.test(path) ? folderSource(path) : ovaSource(path, tarLimitsOf(options)));
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

interface OpenedFiles {
  readonly source: PackageSource;
  readonly envelope: Envelope;
  readonly files: FileSet;
  readonly digests: ReadonlyMap<string, ManifestEntry> | undefined;
  readonly encryption: EncryptedFiles;
  readonly fetch: PackageOptions['fetch'];
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
  const found: OvfWarning[] = [];
  const check = async <T>(work: () => T | Promise<T>): Promise<T | undefined> => {
    try {
      return await work();
    } catch (error) {
      if (options.damaged !== true || !(error instanceof OvfError)) throw error;
      found.push({ detail: error.detail, location: error.location });
      return undefined;
    }
  };
  const enforced = (options.manifest ?? 'enforce') === 'enforce';
  const manifest = enforced
    ? await check(() => manifestBytes && parseManifest(manifestBytes, manifestName))
    : undefined;
  const digests = manifest && new Map(manifest.entries.map((entry) => [entry.file, entry]));
  if (digests !== undefined) {
    await check(() => checkDigest(descriptorName, digestOf(digests, descriptorName, descriptor), digests));
  }
  const { passphrase } = options;
  const envelope = await readEnvelope(descriptor, { fileName: descriptorName, passphrase });
  const encryption = new EncryptedFiles(envelope, passphrase, descriptorName);
  await encryption.check();
  const files = new FileSet(envelope, options.rules === 'lax', descriptorName);
  await check(() => files.refuseUnsafe());
  const order = source.names === undefined ? [] : orderWarnings(source.names, descriptorName, envelope);
  if (options.rules === 'strict' && order[0] !== undefined) {
    throw new OvfError('archive-invalid', order[0].detail, order[0].location);
  }
  const ownFiles = new Set([descriptorName, manifestName, certificateName]);
  const content = [...(source.names ?? (await storedFiles(source, envelope, { onUnsafe: () => undefined })))].filter(
    (name) => !ownFiles.has(name),
  );
  for (const name of content) {
    const size = (await source.size(name)) ?? null;
    await check(() => files.add(name, size));
    if (digests === undefined || digests.has(name)) continue;
    await check(() => {
      throw new OvfError('manifest-invalid', 'the manifest leaves out this file', { file: name });
    });
  }
  for (const reference of files.references) await check(() => files.checkChunks(reference));
  for (const name of digests?.keys() ?? []) {
    if ((await source.size(name)) !== undefined) continue;
    await check(() => {
      throw new OvfError('file-missing', `the manifest names ${name}, which is not in the package`, { file: name });
    });
  }
  const opened: OpenedFiles = { source, envelope, files, digests, encryption, fetch: options.fetch };
  return {
    source,
    descriptorName,
    descriptor,
    envelope,
    manifest,
    manifestBytes,
    certificateBytes,
    warnings: [...envelope.warnings, ...(source.warnings ?? []), ...order, ...files.warnings, ...found],
    storedNames: (reference) => files.storedNames(reference),
    open: (href, openOptions = {}) => new ReferencedFile(opened, href).read(openOptions),
    openStored: (name) => readStored(source, [name], digests),
    openRandom: async (href, openOptions = {}) => new ReferencedFile(opened, href).readRandom(openOptions),
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

/** Reads a referenced file as {@link OvfPackage.open} and {@link OvfPackage.openRandom} say. */
class ReferencedFile {
  readonly #opened: OpenedFiles;
  readonly #reference: FileReference;
  readonly #names: readonly string[];

  constructor(opened: OpenedFiles, href: string) {
    const reference = opened.envelope.files.find((file) => file.href === href);
    if (reference === undefined) throw new OvfError('file-missing', 'the file is not in References', { file: href });
    const external = isExternal(href);
    if (external && opened.fetch === undefined) {
      throw new OvfError('name-unsafe', 'the file lies outside of the package, and is not fetched', { file: href });
    }
    if (external && reference.chunkSize !== undefined) {
      throw new OvfError('name-unsafe', 'a file in chunks is not fetched', { file: href });
    }
    this.#opened = opened;
    this.#reference = reference;
    this.#names = external ? [] : opened.files.storedNames(reference);
  }

  read({ range, decompress = range === undefined }: OpenOptions): AsyncIterable<Uint8Array> {
    const { envelope, source, digests, fetch } = this.#opened;
    const { href, compression } = this.#reference;
    if (range !== undefined) {
      return this.#names.length === 0 ? fetch!(href, range) : readStoredRange(source, this.#names, range);
    }
    const stored = this.#names.length === 0 ? fetch!(href) : readStored(source, this.#names, digests);
    const plain = isEncrypted(envelope, this.#reference) ? plainOf(this.#opened, stored, this.#reference) : stored;
    if (!decompress || compression !== 'gzip') return plain;
    return inflated(plain, href, maxInflatedLength(envelope, this.#reference));
  }

  async readRandom(options: RandomAccessOptions): Promise<RandomAccessFile> {
    const { source } = this.#opened;
    const { href, compression } = this.#reference;
    const pieces: StoredPiece[] = [];
    for (const name of this.#names) {
      const size = await source.size(name);
      if (typeof size !== 'number') break;
      pieces.push({ size, read: (start, length) => source.read(name, { start, length }) });
    }
    const whole = pieces.length === this.#names.length && pieces.length > 0;
    const sealed = isEncrypted(this.#opened.envelope, this.#reference);
    if (compression === 'gzip' || sealed || !whole) return inflatedOnce(this.read({}), options);
    if (this.#names.length > 1 || source.locate === undefined) return joinedPieces(pieces, href);
    const { close, ...location } = await source.locate(this.#names[0]!);
    return { ...joinedPieces(pieces, href), location, close };
  }
}

async function* plainOf(
  { envelope, encryption }: OpenedFiles,
  stored: AsyncIterable<Uint8Array>,
  reference: FileReference,
): AsyncGenerator<Uint8Array> {
  const key = await encryption.keyFor(reference);
  yield* key === undefined ? stored : plainContent(envelope, reference, stored, key);
}
