import type { FileHandle } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import type { Envelope, FileReference } from '../../envelope/envelope.ts';
import { formatEnvelope } from '../../envelope/envelope-writer.ts';
import { OvfError } from '../../errors.ts';
import type { ManifestSigner } from '../../signature/sign-manifest.ts';
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
  const { compression, chunkBytes, signer, signal } = options;
  if (chunkBytes !== undefined && chunkBytes !== 0 && (!Number.isSafeInteger(chunkBytes) || chunkBytes < minChunk)) {
    throw new OvfError('size-mismatch', `a chunk has at least ${minChunk} bytes`);
  }
  const envelope = options.envelope ?? source.envelope;
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
      const wanted = wantedForm(reference, compression, disks.has(reference.id));
      const chunk = chunkBytes ?? reference.chunkSize ?? 0;
      if (wanted === reference.compression && chunk === (reference.chunkSize ?? 0)) {
        references.push(reference);
        files.push(...(await storedInputs(source, reference)));
        continue;
      }
      const content = wanted === reference.compression ? undefined : await reformed(source, reference, wanted, options);
      if (content !== undefined) scratch.push(content.file);
      else joined = true;
      const size = content?.size ?? (await storedSize(source, reference));
      const read = (start: number, length: number) =>
        content === undefined
          ? source.open(reference.href, { range: { start, length } })
          : readScratch(content.file, start, length);
      const { href, compression: _, chunkSize: __, ...rest } = reference;
      const chunked = chunk > 0 && size > chunk;
      references.push({
        ...rest,
        href,
        size,
        ...(wanted === undefined ? {} : { compression: wanted }),
        ...(chunked ? { chunkSize: chunk } : {}),
      });
      files.push(...chunkInputs(storedNameOf(source, reference), size, chunked ? chunk : size, read));
    }
    // A part that is read is not checked by itself.
    if (joined) await refuseDamage(source, signal);
    const changed = options.envelope !== undefined || scratch.length > 0 || joined;
    const keeps = !changed && options.digest === undefined && signer === undefined && source.manifest !== undefined;
    return {
      descriptorName: source.descriptorName,
      descriptor: changed ? Buffer.from(formatEnvelope({ ...envelope, files: references }), 'utf8') : source.descriptor,
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

/** A compressed or inflated copy of a file in a scratch file. */
async function reformed(
  source: OvfPackage,
  reference: FileReference,
  wanted: FileReference['compression'],
  { scratchFolder, signal }: PlanOptions,
): Promise<{ readonly file: FileHandle; readonly size: number }> {
  const file = await openNameless(scratchFolder);
  try {
    const content = source.open(reference.href);
    const write = async (parts: AsyncIterable<Uint8Array>) => {
      for await (const part of parts) await file.appendFile(part);
    };
    const options = signal === undefined ? {} : { signal };
    if (wanted === 'gzip') await pipeline(content, createGzip({ chunkSize: 256 * 1024 }), write, options);
    else await pipeline(content, write, options);
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
