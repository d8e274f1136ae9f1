import type { Envelope } from '../../envelope/envelope.ts';
import { readEnvelope } from '../../envelope/envelope-reader.ts';
import { OvfError, type OvfWarning } from '../../errors.ts';
import { type SignatureOptions, verifySignature } from '../../signature/verify-signature.ts';
import { type DigestResult, digestFiles } from '../digests/digest-pool.ts';
import { type Manifest, type ManifestEntry, parseManifest } from '../digests/manifest.ts';
import { defaultMaxLength, type PackageOptions } from '../package-options.ts';
import { orderWarnings } from '../package-order.ts';
import type { PackageSource } from '../package-source.ts';
import { certificateNameOf, manifestNameOf, readWhole, storedFiles } from '../stored-files.ts';
import { type FileVerdict, type PackageVerdict, packageVerdict } from './package-verdict.ts';

export interface VerifyOptions extends PackageOptions, SignatureOptions {
  readonly signal?: AbortSignal;
  /** Called with the stored bytes that were digested, and their sum. */
  readonly onProgress?: (progress: { readonly doneBytes: number; readonly totalBytes: number }) => void;
}

/**
 * Verifies a package that can be read in any order, or its source: each file against the manifest, the manifest against its
 * signature. Digests on every core. What is wrong with the package is in the verdict; throws only the reason of `signal`,
 * and what the source throws for descriptor and manifest.
 */
export async function verifyPackage(
  target: PackageSource | { readonly source: PackageSource },
  options: VerifyOptions = {},
): Promise<PackageVerdict> {
  const source = 'source' in target ? target.source : target;
  const { descriptorName } = source;
  const maxManifest = options.maxManifestLength ?? defaultMaxLength;
  const manifestName = manifestNameOf(descriptorName);
  const certificateName = certificateNameOf(descriptorName);
  const descriptorBytes = await readWhole(source, descriptorName, options.maxDescriptorLength ?? defaultMaxLength);
  const manifestBytes = await readWhole(source, manifestName, maxManifest);
  const certificateBytes = await readWhole(source, certificateName, maxManifest);
  const signature = verifySignature(manifestBytes, certificateBytes, { ...options, fileName: certificateName });
  const manifest = manifestOf(manifestBytes, manifestName);
  const envelope = descriptorBytes && (await envelopeOf(descriptorBytes, descriptorName, options.passphrase));
  const warnings: OvfWarning[] = [...(source.warnings ?? [])];
  const invalid: FileVerdict[] = [];
  if (manifest instanceof OvfError) invalid.push(invalidFile(manifestName, manifest));
  const known = manifest instanceof OvfError ? undefined : manifest;
  const read = envelope === undefined || envelope instanceof OvfError ? undefined : envelope;
  const entries = new Map((known?.entries ?? []).map((entry) => [entry.file, entry]));
  const onUnsafe = (error: OvfError) => void invalid.push(invalidFile(descriptorName, error));
  const stored = await storedNamesOf(source, read, entries, onUnsafe);
  if (read !== undefined && source.names !== undefined)
    warnings.push(...orderWarnings(source.names, descriptorName, read));
  const sizes = new Map<string, number | null>();
  for (const name of stored) {
    const size = await source.size(name).catch(() => null);
    if (size !== undefined) sizes.set(name, size);
  }
  const requests = [...sizes].flatMap(([name, size]) => {
    const entry = entries.get(name);
    return entry === undefined ? [] : [{ name, size, algorithm: entry.algorithm }];
  });
  const totalBytes = requests.reduce((sum, { size }) => sum + (size ?? 0), 0);
  let doneBytes = 0;
  const digests = await digestFiles(source, requests, {
    ...(options.signal === undefined ? {} : { signal: options.signal }),
    onBytes: (bytes) => {
      doneBytes += bytes;
      options.onProgress?.({ doneBytes, totalBytes: Math.max(totalBytes, doneBytes) });
    },
  });
  const files = stored.map((name) => verdictOf(name, sizes.get(name), entries.get(name), digests.get(name)));
  if (envelope instanceof OvfError) judgeDescriptor(envelope, descriptorName, files, invalid, warnings);
  return packageVerdict([...invalid, ...files], signature, warnings, manifest !== undefined);
}

export function manifestOf(bytes: Uint8Array | undefined, name: string): Manifest | OvfError | undefined {
  try {
    return bytes && parseManifest(bytes, name);
  } catch (error) {
    if (error instanceof OvfError) return error;
    throw error;
  }
}

export async function envelopeOf(
  bytes: Uint8Array,
  name: string,
  passphrase?: PackageOptions['passphrase'],
): Promise<Envelope | OvfError> {
  try {
    return await readEnvelope(bytes, { fileName: name, passphrase });
  } catch (error) {
    if (error instanceof OvfError) return error;
    throw error;
  }
}

/** A descriptor that cannot be read is damaged, unless its digest says that it was made so. */
export function judgeDescriptor(
  error: OvfError,
  name: string,
  files: readonly FileVerdict[],
  invalid: FileVerdict[],
  warnings: OvfWarning[],
): void {
  const proven = files.some(({ file, status }) => file === name && status === 'matches');
  if (proven) warnings.push({ detail: error.detail, location: error.location });
  else invalid.push(invalidFile(name, error));
}

export function invalidFile(file: string, error: OvfError): FileVerdict {
  return { file, status: 'invalid', detail: error.message };
}

/** Every file that should be there: of the archive, of the descriptor, of the manifest; each once, in that order. */
async function storedNamesOf(
  source: PackageSource,
  envelope: Envelope | undefined,
  entries: ReadonlyMap<string, ManifestEntry>,
  onUnsafe: (error: OvfError) => void,
): Promise<string[]> {
  const { descriptorName } = source;
  const signature = new Set([manifestNameOf(descriptorName), certificateNameOf(descriptorName)]);
  const referenced = envelope === undefined ? [] : await storedFiles(source, envelope, { missingToo: true, onUnsafe });
  const names = new Set([descriptorName, ...(source.names ?? []), ...referenced, ...entries.keys()]);
  return [...names].filter((name) => !signature.has(name));
}

export function verdictOf(
  file: string,
  size: number | null | undefined,
  entry: ManifestEntry | undefined,
  result: DigestResult | undefined,
): FileVerdict {
  const base = {
    file,
    ...(typeof size === 'number' ? { size } : {}),
    ...(entry === undefined ? {} : { algorithm: entry.algorithm, expected: entry.digest }),
  };
  if (size === undefined) {
    const by = entry === undefined ? 'the descriptor' : 'the manifest';
    return { ...base, status: 'missing', detail: `${by} names it, and it is not in the package` };
  }
  if (entry === undefined) return { ...base, status: 'uncovered', detail: 'the manifest leaves it out' };
  if (result === undefined || 'problem' in result) {
    return { ...base, status: 'unreadable', detail: result?.problem ?? 'it was not read' };
  }
  if (result.digest === entry.digest) return { ...base, status: 'matches', actual: result.digest };
  const detail = `${entry.algorithm} is ${result.digest}, the manifest says ${entry.digest}`;
  return { ...base, status: 'differs', actual: result.digest, detail };
}
