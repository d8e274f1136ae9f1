import { createHash } from 'node:crypto';
import { mkdir, open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Writable } from 'node:stream';
import { OvfError } from '../../errors.ts';
import type { OvaStream } from '../archive/ova-reader.ts';
import { type OvaInput, writeOva } from '../archive/ova-writer.ts';
import { formatManifest, type ManifestEntry } from '../digests/manifest.ts';
import type { OvfPackage } from '../ovf-package.ts';
import { certificateNameOf, manifestNameOf } from '../stored-files.ts';
import { writeArchiveFile } from './archive-file.ts';
import { type PackageChanges, type PackagePlan, planPackage } from './package-plan.ts';
import { type TargetOptions, writeWholeFile, writeWholeFolder } from './whole-file.ts';

export interface SaveOptions extends PackageChanges, TargetOptions {
  readonly signal?: AbortSignal;
  /** Called with the bytes of files that were written, and their sum. */
  readonly onProgress?: (progress: { readonly doneBytes: number; readonly totalBytes: number }) => void;
  /** Folder for scratch files; that of the target unless told. */
  readonly scratchFolder?: string;
}

/**
 * Writes a package as an OVA, in one pass; it appears under its name when it is whole. A source with a manifest is checked
 * on the way. Throws `digest-mismatch`, `file-missing`, `target-exists`, `target-unwritable`, `signing-failed`.
 */
export async function saveArchive(source: OvfPackage, path: string, options: SaveOptions = {}): Promise<void> {
  await writeWholeFile(path, options, async (file) => {
    const plan = await planPackage(source, { scratchFolder: dirname(path), ...options });
    try {
      await writeArchiveFile(file, plan, counter(plan, options), options.signal);
    } finally {
      await plan.close();
    }
  });
}

/** {@link saveArchive} into a stream, such as a pipe: a new manifest comes last. Ends the stream. */
export async function streamArchive(
  source: OvfPackage,
  output: Writable,
  options: SaveOptions & { readonly scratchFolder: string },
): Promise<void> {
  const plan = await planPackage(source, options);
  try {
    const onBytes = counter(plan, options);
    const files = plan.files.map((file) => ({ ...file, open: () => counted(file.open(), onBytes) }));
    await writeOva(output, { ...plan, files, ...(options.signal === undefined ? {} : { signal: options.signal }) });
  } finally {
    await plan.close();
  }
}

/** Writes a package as a folder of its files; it appears under its name when it is whole. Throws as {@link saveArchive}. */
export async function saveFolder(source: OvfPackage, path: string, options: SaveOptions = {}): Promise<void> {
  await writeWholeFolder(path, async (folder) => {
    const plan = await planPackage(source, { scratchFolder: folder, ...options });
    try {
      await writeFiles(folder, plan, counter(plan, options), options.signal);
    } finally {
      await plan.close();
    }
  });
}

/** {@link saveFolder} of an OVA that passes by once: all of it as it is, checked on the way. */
export async function unpackStream(ova: OvaStream, path: string, options: SaveOptions = {}): Promise<void> {
  const { signal, onProgress } = options;
  await writeWholeFolder(path, async (folder) => {
    let doneBytes = 0;
    const onBytes = (bytes: number) => {
      doneBytes += bytes;
      onProgress?.({ doneBytes, totalBytes: doneBytes });
    };
    await writeNew(folder, ova.descriptorName, [ova.descriptor], signal);
    for await (const { name, content } of ova.files()) {
      await writeNew(folder, name, counted(content, onBytes), signal);
    }
    const [manifestName, certificateName] = ownNames(ova.descriptorName);
    if (ova.manifestBytes !== undefined) await writeNew(folder, manifestName, [ova.manifestBytes], signal);
    if (ova.certificateBytes !== undefined) await writeNew(folder, certificateName, [ova.certificateBytes], signal);
  });
}

function ownNames(descriptorName: string): readonly [string, string] {
  return [manifestNameOf(descriptorName), certificateNameOf(descriptorName)];
}

async function writeFiles(
  folder: string,
  plan: PackagePlan,
  onBytes: (bytes: number) => void,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { descriptorName, descriptor, files, digest, kept, signer } = plan;
  const [manifestName, certificateName] = ownNames(descriptorName);
  const entries: ManifestEntry[] = [];
  const write = async (name: string, content: AsyncIterable<Uint8Array> | readonly Uint8Array[]) => {
    const hash = createHash((digest || 'SHA256').toLowerCase());
    const length = await writeNew(folder, name, content, signal, (part) => hash.update(part));
    if (digest !== false) entries.push({ algorithm: digest, file: name, digest: hash.digest('hex') });
    return length;
  };
  await write(descriptorName, [descriptor]);
  for (const file of files) await writeExactly(file, (content) => write(file.name, content), onBytes);
  if (kept !== undefined) {
    await writeNew(folder, manifestName, [kept.manifest], signal);
    if (kept.certificate !== undefined) await writeNew(folder, certificateName, [kept.certificate], signal);
    return;
  }
  if (digest === false) return;
  const manifest = Buffer.from(formatManifest({ entries }), 'utf8');
  await writeNew(folder, manifestName, [manifest], signal);
  if (signer !== undefined) await writeNew(folder, certificateName, [signer.sign(manifest, manifestName)], signal);
}

async function writeExactly(
  { name, size, open: openContent }: OvaInput,
  write: (content: AsyncIterable<Uint8Array>) => Promise<number>,
  onBytes: (bytes: number) => void,
): Promise<void> {
  if ((await write(counted(openContent(), onBytes))) === size) return;
  throw new OvfError('size-mismatch', `the file has not the ${size} bytes that it should`, { file: name });
}

/** Writes a file into the folder and syncs it; answers its length. */
async function writeNew(
  folder: string,
  name: string,
  content: AsyncIterable<Uint8Array> | readonly Uint8Array[],
  signal: AbortSignal | undefined,
  onPart: (part: Uint8Array) => void = () => undefined,
): Promise<number> {
  const path = join(folder, name);
  if (name.includes('/')) await mkdir(dirname(path), { recursive: true });
  const file = await open(path, 'wx', 0o644);
  let length = 0;
  try {
    for await (const part of content) {
      signal?.throwIfAborted();
      onPart(part);
      await file.appendFile(part);
      length += part.length;
    }
    await file.sync();
  } finally {
    await file.close();
  }
  return length;
}

function counter({ totalBytes }: PackagePlan, { onProgress }: SaveOptions): (bytes: number) => void {
  let doneBytes = 0;
  return (bytes) => {
    doneBytes += bytes;
    onProgress?.({ doneBytes, totalBytes: Math.max(totalBytes, doneBytes) });
  };
}

async function* counted(
  content: AsyncIterable<Uint8Array>,
  onBytes: (bytes: number) => void,
): AsyncGenerator<Uint8Array> {
  for await (const part of content) {
    yield part;
    onBytes(part.length);
  }
}
