import type { FileHandle } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { encrypted } from '../../encryption/cipher-stream.ts';
import { isEncrypted } from '../../encryption/encrypted-files.ts';
import { hasEncryptedMarkup } from '../../encryption/encrypted-markup.ts';
import { type EncryptionOptions, PackageEncryption, plainReference } from '../../encryption/encrypting.ts';
import type { Envelope, FileReference } from '../../envelope/envelope.ts';
import { formatEnvelope } from '../../envelope/envelope-writer.ts';
import { OvfError } from '../../errors.ts';
import type { ManifestSigner } from '../../signature/sign-manifest.ts';
import { parseXml } from '../../xml/xml-reader.ts';
import { readAt } from '../archive/ova-index.ts';
import type { KeptManifest, OvaInput } from '../archive/ova-writer.ts';
import { openNameless } from '../content/random-access.ts';
import type { DigestAlgorithm } from '../digests/manifest.ts';
import type { OvfPackage } from '../ovf-package.ts';
import { chunkName, isExternal, packageName } from '../package-name.ts';
import { verifyPackage } from '../verify/verify-package.ts';

/** What changes when a package is written anew; without any of it manifest and signature stay as they are. */
export interface PackageChanges {
  /** Algorithm of a new manifest; `false` for none. SHA256 when there is one to be written and none is said. */
  readonly digest?: DigestAlgorithm | false;
  /** Signs the new manifest. */
  readonly signer?: ManifestSigner;
  /** In place of the package's own; its files must be those of the package. */
  readonly envelope?: Envelope;
  /** `gzip` compresses the disks that are not, `none` undoes compression. */
  readonly compression?: 'gzip' | 'none';
  /** Bytes in a chunk, for files that are longer; 0 joins what is in chunks. */
  readonly chunkBytes?: number;
  /** Encrypts every file (DSP0243 2.1 9.16), or `none` decrypts all of the package, which was opened with its passphrase. */
  readonly encryption?: EncryptionOptions | 'none';
}

/** A package as it is about to be written. */
export interface PackagePlan {
  readonly descriptorName: string;
  readonly descriptor: Uint8Array;
  /** In the order of References, chunks in theirs. */
  readonly files: readonly OvaInput[];
  readonly digest: DigestAlgorithm | false;
  readonly signer?: ManifestSigner;
  /** Manifest and certificate that stay. */
  readonly kept?: KeptManifest;
  /** Bytes of all files. */
  readonly totalBytes: number;
  /** Lets go of scratch files. */
  close(): Promise<void>;
}

export interface PlanOptions extends PackageChanges {
  /** Folder for compressed or inflated copies, with room for them. */
  readonly scratchFolder: string;
  readonly signal?: AbortSignal;
}

const minChunk = 1024;

/** Plans a package: compresses or inflates into scratch files what is to be, for sizes must be known before. */
export async function planPackage(source: OvfPackage, options: PlanOptions): Promise<PackagePlan> {
  const { compression, chunkBytes, signer, signal, encryption } = options;
  if (chunkBytes !== undefined && chunkBytes !== 0 && (!Number.isSafeInteger(chunkBytes) || chunkBytes < minChunk)) {
    throw new OvfError('size-mismatch', `a chunk has at least ${minChunk} bytes`);
  }
  const envelope = options.envelope ?? source.envelope;
  const sealing = encryption === undefined || encryption === 'none' ? undefined : new PackageEncryption(encryption);
  if (sealing !== undefined) refuseEncrypted(source);
  const disks = new Set((envelope.diskSection?.disks ?? []).map(({ fileId }) => fileId));
  const scratch: FileHandle[] = [];
  const files: OvaInput[] = [];
  const references: FileReference[] = [];
  let joined = false;
  try {
    for (const reference of envelope.files) {
      if (isExternal(reference.href)) {
        references.push(reference);
        continue;
      }
      const sealed = isEncrypted(envelope, reference);
      const reseals = sealing !== undefined || (sealed && encryption === 'none');
      // What is encrypted cannot be made any smaller.
      const asked = sealed && !reseals ? undefined : compression;
      const wanted = wantedForm(reference, asked, disks.has(reference.id));
      const chunk = chunkBytes ?? reference.chunkSize ?? 0;
      if (!reseals && wanted === reference.compression && chunk === (reference.chunkSize ?? 0)) {
        references.push(reference);
        files.push(...(await storedInputs(source, reference)));
        continue;
      }
      const content =
        !reseals && wanted === reference.compression
          ? undefined
          : await reformed(source, reference, { wanted, sealing }, options);
      if (content !== undefined) scratch.push(content.file);
      else joined = true;
      const size = content?.size ?? (await storedSize(source, reference));
      const read = (start: number, length: number) =>
        content === undefined
          ? source.open(reference.href, { range: { start, length } })
          : readScratch(content.file, start, length);
      const { href, compression: _, chunkSize: __, ...rest } = reseals ? plainReference(reference) : reference;
      const chunked = chunk > 0 && size > chunk;
      const written: FileReference = {
        ...rest,
        href,
        size,
        ...(wanted === undefined ? {} : { compression: wanted }),
        ...(chunked ? { chunkSize: chunk } : {}),
      };
      references.push(sealing === undefined ? written : sealing.reference(written));
      files.push(...chunkInputs(storedNameOf(source, reference), size, chunked ? chunk : size, read));
    }
    if (sealing !== undefined && scratch.length === 0)
      throw new OvfError('encryption-failed', 'it has no file to encrypt', { file: source.descriptorName });
    // A part that is read is not checked by itself.
    if (joined) await refuseDamage(source, signal);
    const unsealed = encryption === 'none' && (envelope.encryption !== undefined || hasSealedMarkup(source));
    const changed = options.envelope !== undefined || scratch.length > 0 || joined || unsealed;
    if (changed && encryption !== 'none') refusePlainMarkup(source);
    const keeps = !changed && options.digest === undefined && signer === undefined && source.manifest !== undefined;
    return {
      descriptorName: source.descriptorName,
      descriptor: changed
        ? Buffer.from(
            formatEnvelope(await sealedEnvelope({ ...envelope, files: references }, sealing, unsealed)),
            'utf8',
          )
        : source.descriptor,
      files,
      digest: options.digest ?? 'SHA256',
      ...(signer === undefined ? {} : { signer }),
      ...(keeps ? { kept: keptManifest(source) } : {}),
      totalBytes: files.reduce((sum, { size }) => sum + size, 0),
      close: async () => {
        for (const file of scratch) await file.close();
      },
    };
  } catch (error) {
    for (const file of scratch) await file.close();
    throw error;
  }
}

function wantedForm(reference: FileReference, compression: PackageChanges['compression'], isDisk: boolean) {
  if (compression === 'gzip' && isDisk) return 'gzip';
  if (compression === 'none' && reference.compression === 'gzip') return undefined;
  return reference.compression;
}

function keptManifest({ manifestBytes, certificateBytes }: OvfPackage): KeptManifest {
  return {
    manifest: manifestBytes!,
    ...(certificateBytes === undefined ? {} : { certificate: certificateBytes }),
  };
}

async function storedInputs(source: OvfPackage, reference: FileReference): Promise<OvaInput[]> {
  const inputs: OvaInput[] = [];
  for (const name of source.storedNames(reference)) {
    inputs.push({ name, size: await sizeOf(source, name), open: () => source.openStored(name) });
  }
  const total = inputs.reduce((sum, { size }) => sum + size, 0);
  if (reference.size !== undefined && reference.size !== total) {
    const detail = `the file has ${total} bytes by now, References says ${reference.size}`;
    throw new OvfError('size-mismatch', detail, { file: reference.href });
  }
  return inputs;
}

async function storedSize(source: OvfPackage, reference: FileReference): Promise<number> {
  let total = 0;
  for (const name of source.storedNames(reference)) total += await sizeOf(source, name);
  return total;
}

async function sizeOf(source: OvfPackage, name: string): Promise<number> {
  const size = await source.source.size(name);
  if (typeof size === 'number') return size;
  throw new OvfError('file-missing', 'its size is not known before it is read', { file: name });
}

/** Name under which the file is stored, without the number of a chunk. */
function storedNameOf(source: OvfPackage, reference: FileReference): string {
  const [first] = source.storedNames(reference);
  return reference.chunkSize === undefined ? first! : packageName(first!.slice(0, -'.000000000'.length));
}

function chunkInputs(
  name: string,
  size: number,
  chunk: number,
  read: (start: number, length: number) => AsyncIterable<Uint8Array>,
): OvaInput[] {
  if (chunk >= size) return [{ name, size, open: () => read(0, size) }];
  return Array.from({ length: Math.ceil(size / chunk) }, (_, index) => {
    const start = index * chunk;
    const length = Math.min(chunk, size - start);
    return { name: chunkName(name, index), size: length, open: () => read(start, length) };
  });
}

async function sealedEnvelope(
  envelope: Envelope,
  sealing: PackageEncryption | undefined,
  unsealed: boolean,
): Promise<Envelope> {
  if (sealing !== undefined) return sealing.sealed(envelope);
  const { encryption: _, ...plain } = envelope;
  return unsealed ? plain : envelope;
}

/** Throws `encryption-failed` for a package of which something is encrypted already. */
function refuseEncrypted({ envelope, descriptorName }: OvfPackage): void {
  if (envelope.encryption === undefined && !envelope.files.some((file) => isEncrypted(envelope, file))) return;
  throw new OvfError('encryption-failed', 'it is encrypted already; decrypt it first', { file: descriptorName });
}

/** Throws `encryption-failed` where writing the descriptor anew would put into the clear what was encrypted of it. */
function refusePlainMarkup({ descriptor, descriptorName }: OvfPackage): void {
  if (!hasSealedMarkup({ descriptor })) return;
  const detail = 'parts of the descriptor are encrypted: it can be written as it is, or decrypted as a whole';
  throw new OvfError('encryption-failed', detail, { file: descriptorName });
}

function hasSealedMarkup({ descriptor }: Pick<OvfPackage, 'descriptor'>): boolean {
  return hasEncryptedMarkup(parseXml(descriptor));
}

/** A copy of a file in another form, compressed or inflated, encrypted or decrypted, in a scratch file. */
async function reformed(
  source: OvfPackage,
  reference: FileReference,
  {
    wanted,
    sealing,
  }: { readonly wanted: FileReference['compression']; readonly sealing: PackageEncryption | undefined },
  { scratchFolder, signal }: PlanOptions,
): Promise<{ readonly file: FileHandle; readonly size: number }> {
  const file = await openNameless(scratchFolder);
  try {
    const recompressed = wanted !== reference.compression;
    const content = source.open(reference.href, { decompress: recompressed });
    const seal = async function* (parts: AsyncIterable<Uint8Array>) {
      yield* sealing === undefined ? parts : encrypted(parts, sealing.contentKey);
    };
    const write = async (parts: AsyncIterable<Uint8Array>) => {
      for await (const part of parts) await file.appendFile(part);
    };
    const options = signal === undefined ? {} : { signal };
    if (wanted === 'gzip' && recompressed)
      await pipeline(content, createGzip({ chunkSize: 256 * 1024 }), seal, write, options);
    else await pipeline(content, seal, write, options);
    return { file, size: (await file.stat()).size };
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function* readScratch(file: FileHandle, start: number, length: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < length; ) {
    const part = await readAt(file, start + at, Math.min(1024 * 1024, length - at));
    if (part.length === 0) return;
    at += part.length;
    yield part;
  }
}

async function refuseDamage(source: OvfPackage, signal: AbortSignal | undefined): Promise<void> {
  if (source.manifest === undefined) return;
  const { files } = await verifyPackage(source, signal === undefined ? {} : { signal });
  const wrong = files.find(({ status }) => status !== 'matches');
  if (wrong === undefined) return;
  throw new OvfError('digest-mismatch', wrong.detail ?? 'the file is not what the manifest says', { file: wrong.file });
}
