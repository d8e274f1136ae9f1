import type { FileReference } from '../../envelope/envelope.ts';
import { OvfError, type OvfWarning } from '../../errors.ts';
import { verifySignature } from '../../signature/verify-signature.ts';
import { StreamSource } from '../archive/stream-source.ts';
import { tarEntries } from '../archive/tar-entries.ts';
import { DigestThreads } from '../digests/digest-thread.ts';
import { FileDigest } from '../digests/file-digests.ts';
import type { DigestAlgorithm, Manifest } from '../digests/manifest.ts';
import { FileSet } from '../file-set.ts';
import { chunkName, storedNamesFor } from '../package-name.ts';
import { defaultMaxLength, tarLimitsOf } from '../package-options.ts';
import { orderWarnings } from '../package-order.ts';
import { certificateNameOf, manifestNameOf } from '../stored-files.ts';
import { type FileVerdict, type PackageVerdict, packageVerdict } from './package-verdict.ts';
import {
  envelopeOf,
  invalidFile,
  judgeDescriptor,
  manifestOf,
  type VerifyOptions,
  verdictOf,
} from './verify-package.ts';

interface SeenFile {
  readonly size: number;
  readonly digests: ReadonlyMap<DigestAlgorithm, string>;
}

/**
 * {@link verifyPackage} of an OVA that passes by once, such as a pipe or a download, in constant memory. When the manifest
 * comes last, every file is digested by all algorithms. Throws {@link OvfError} `archive-*` and `name-unsafe` for what is
 * not an archive, or ends early.
 */
export async function verifyOvaStream(
  stream: AsyncIterable<Uint8Array>,
  options: VerifyOptions = {},
): Promise<PackageVerdict> {
  const source = new StreamSource(stream);
  const threads: DigestThreads[] = [];
  try {
    return await verifyEntries(source, options, threads);
  } finally {
    await source.close();
    for (const thread of threads) await thread.close();
  }
}

async function verifyEntries(
  source: StreamSource,
  options: VerifyOptions,
  threads: DigestThreads[],
): Promise<PackageVerdict> {
  const { signal, onProgress } = options;
  const seen = new Map<string, SeenFile>();
  const kept = new Map<string, Uint8Array>();
  const names: string[] = [];
  const warnings: OvfWarning[] = [];
  let descriptorName: string | undefined;
  let manifest: Manifest | OvfError | undefined;
  const onIgnored = (warning: OvfWarning) => void warnings.push(warning);
  for await (const { name, size, offset } of tarEntries(source, { ...tarLimitsOf(options), onIgnored })) {
    if (descriptorName === undefined && !/\.ovf$/i.test(name)) {
      throw new OvfError('archive-invalid', 'the first file of an OVA must be the descriptor', { file: name });
    }
    descriptorName ??= name;
    names.push(name);
    const keep = keptLength(name, descriptorName, options);
    if (keep !== undefined && size > keep) {
      throw new OvfError('archive-limit', `the file has more than ${keep} bytes`, { file: name });
    }
    const algorithms = algorithmsFor(manifest, name);
    const digest = digestFor(algorithms, size, threads);
    const parts: Uint8Array[] = [];
    let read = 0;
    for await (const part of source.stream(offset, size)) {
      signal?.throwIfAborted();
      await digest.update(part);
      read += part.length;
      if (keep !== undefined) parts.push(Buffer.from(part));
      onProgress?.({ doneBytes: source.offset, totalBytes: source.offset });
    }
    if (read < size) {
      throw new OvfError('archive-truncated', `the archive ends ${size - read} bytes early`, { file: name });
    }
    seen.set(name, { size, digests: await digest.finish() });
    if (keep !== undefined) kept.set(name, Buffer.concat(parts));
    if (name === manifestNameOf(descriptorName)) manifest = manifestOf(kept.get(name), name);
  }
  if (descriptorName === undefined) throw new OvfError('archive-invalid', 'the archive is empty');
  const envelope = await envelopeOf(kept.get(descriptorName)!, descriptorName, options.passphrase);
  const certificateName = certificateNameOf(descriptorName);
  const manifestBytes = kept.get(manifestNameOf(descriptorName));
  const signature = verifySignature(manifestBytes, kept.get(certificateName), {
    ...options,
    fileName: certificateName,
  });
  const invalid: FileVerdict[] = [];
  if (manifest instanceof OvfError) invalid.push(invalidFile(manifestNameOf(descriptorName), manifest));
  const held = envelope instanceof OvfError ? undefined : new FileSet(envelope, true, descriptorName);
  for (const error of held?.unsafe ?? []) invalid.push(invalidFile(descriptorName, error));
  const files = fileVerdicts(descriptorName, seen, manifest, held?.references ?? []);
  if (envelope instanceof OvfError) judgeDescriptor(envelope, descriptorName, files, invalid, warnings);
  else warnings.push(...orderWarnings(names, descriptorName, envelope));
  return packageVerdict([...invalid, ...files], signature, warnings, manifest !== undefined);
}

/** From this size on a thread takes its part of a file that is digested by every algorithm. */
const worthThread = 4 * 1024 * 1024;

function digestFor(
  algorithms: readonly DigestAlgorithm[] | undefined,
  size: number,
  threads: DigestThreads[],
): FileDigest | DigestThreads {
  if (algorithms !== undefined || size < worthThread) return new FileDigest(algorithms);
  const thread = threads[0] ?? new DigestThreads();
  threads[0] = thread;
  thread.start();
  return thread;
}

/** Bytes of a file that are kept to be read as a whole; absent for a file that only passes by. */
function keptLength(name: string, descriptorName: string, options: VerifyOptions): number | undefined {
  if (name === descriptorName) return options.maxDescriptorLength ?? defaultMaxLength;
  const signature = name === manifestNameOf(descriptorName) || name === certificateNameOf(descriptorName);
  return signature ? (options.maxManifestLength ?? defaultMaxLength) : undefined;
}

function algorithmsFor(
  manifest: Manifest | OvfError | undefined,
  name: string,
): readonly DigestAlgorithm[] | undefined {
  if (manifest === undefined) return undefined;
  if (manifest instanceof OvfError) return [];
  return manifest.entries.flatMap(({ file, algorithm }) => (file === name ? [algorithm] : []));
}

function fileVerdicts(
  descriptorName: string,
  seen: ReadonlyMap<string, SeenFile>,
  manifest: Manifest | OvfError | undefined,
  references: readonly FileReference[],
): FileVerdict[] {
  const entries = new Map(
    manifest === undefined || manifest instanceof OvfError ? [] : manifest.entries.map((entry) => [entry.file, entry]),
  );
  const signature = new Set([manifestNameOf(descriptorName), certificateNameOf(descriptorName)]);
  const wanted = references.map(({ href, chunkSize }) => {
    const names = storedNamesFor(href).map((name) => (chunkSize === undefined ? name : chunkName(name, 0)));
    return names.find((name) => seen.has(name)) ?? names[0]!;
  });
  return [...new Set([...seen.keys(), ...wanted, ...entries.keys()])]
    .filter((name) => !signature.has(name))
    .map((name) => {
      const entry = entries.get(name);
      const file = seen.get(name);
      const digest = entry && file?.digests.get(entry.algorithm);
      return verdictOf(name, file?.size, entry, digest === undefined ? undefined : { digest });
    });
}
