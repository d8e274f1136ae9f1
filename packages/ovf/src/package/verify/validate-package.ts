import type { Envelope } from '../../envelope/envelope.ts';
import { OvfError } from '../../errors.ts';
import { verifySignature } from '../../signature/verify-signature.ts';
import { IssueLog, type ValidationIssue } from '../../validation/issue-log.ts';
import type { ValidationMode, ValidationRule } from '../../validation/rules.ts';
import { validateDescriptor } from '../../validation/validate-envelope.ts';
import { FileSet } from '../file-set.ts';
import { isExternal } from '../package-name.ts';
import { defaultMaxLength } from '../package-options.ts';
import { orderWarnings } from '../package-order.ts';
import type { PackageSource } from '../package-source.ts';
import { certificateNameOf, manifestNameOf, readWhole, storedFiles } from '../stored-files.ts';
import { manifestOf } from './verify-package.ts';

export interface PackageValidationOptions {
  /** `strict` by default. */
  readonly mode?: ValidationMode;
  /** A descriptor with none of its files beside it is checked by itself, with a warning, and not for what is missing. */
  readonly alone?: boolean;
  /** Of an encrypted package, for the parts of its descriptor that are. */
  readonly passphrase?: string | Uint8Array | undefined;
}

/**
 * Checks a whole package: the descriptor against schema and text, the files against References, their order, and that the
 * manifest covers them. Digests are not computed. Never throws for what is wrong with the package; throws `file-missing`
 * without a descriptor, `archive-limit`, and what the source throws.
 */
export async function validatePackage(
  source: PackageSource,
  { mode = 'strict', alone = false, passphrase }: PackageValidationOptions = {},
): Promise<readonly ValidationIssue[]> {
  const { descriptorName } = source;
  const descriptor = await readWhole(source, descriptorName, defaultMaxLength);
  if (descriptor === undefined) throw new OvfError('file-missing', 'there is no descriptor', { file: descriptorName });
  const report = await validateDescriptor(descriptor, { mode, fileName: descriptorName, passphrase });
  const log = new IssueLog(mode, false);
  const { envelope } = report;
  if (envelope !== undefined && alone && (await isAlone(source, envelope))) {
    const detail = 'not one file of References is there: the descriptor alone is checked';
    log.report('descriptor-alone', detail, { file: descriptorName, section: 'References' });
  } else if (envelope !== undefined) await checkFiles(source, envelope, log);
  for (const { detail, location } of source.warnings ?? []) log.report('archive-bytes', detail, location);
  return [...report.issues, ...log.issues];
}

/** Whether there are files to be had, and not one is. */
async function isAlone(source: PackageSource, envelope: Envelope): Promise<boolean> {
  const inside = envelope.files.filter(({ href }) => !isExternal(href));
  for (const file of inside) {
    try {
      if ((await storedFiles(source, { ...envelope, files: [file] })).length > 0) return false;
    } catch (error) {
      // A name that leads out of the folder is of no file in it.
      if (!(error instanceof OvfError)) throw error;
    }
  }
  return inside.length > 0;
}

async function checkFiles(source: PackageSource, envelope: Envelope, log: IssueLog): Promise<void> {
  const { descriptorName } = source;
  const ownNames = [descriptorName, manifestNameOf(descriptorName), certificateNameOf(descriptorName)];
  const names = source.names ?? (await storedFiles(source, envelope, { onUnsafe: () => undefined }));
  const files = new FileSet(envelope, false, descriptorName);
  for (const { detail, location } of files.unsafe) log.report('file-name', detail, location);
  const content = names.filter((name) => !ownNames.includes(name));
  for (const name of content) {
    const size = (await source.size(name)) ?? null;
    const rule = files.referenceOf(name) === undefined ? 'file-listed' : 'file-size';
    await collecting(log, rule, async () => files.add(name, size));
  }
  const safe = new Set(files.references);
  for (const reference of envelope.files) {
    const { href, line } = reference;
    if (isExternal(href)) {
      const detail = `the file ${href} lies outside of the package`;
      log.report('file-outside', detail, { file: descriptorName, section: 'References', line });
      continue;
    }
    if (!safe.has(reference)) continue;
    const there = await collecting(log, 'file-there', async () => files.storedNames(reference));
    if (there !== undefined) await collecting(log, 'file-chunks', async () => files.checkChunks(reference));
  }
  for (const { detail, location } of source.names === undefined
    ? []
    : orderWarnings(source.names, descriptorName, envelope)) {
    log.report('archive-order', detail, location);
  }
  checkBundles(envelope, descriptorName, log);
  await checkManifest(source, [descriptorName, ...content], log);
}

/** External string bundles come first in References, so that they are there when the texts are read (DSP0243 5.3). */
function checkBundles(envelope: Envelope, descriptorName: string, log: IssueLog): void {
  const bundles = new Set(envelope.strings.flatMap(({ fileId }) => fileId ?? []));
  const first = envelope.files.findIndex(({ id }) => !bundles.has(id));
  const late = envelope.files.find(({ id }, index) => bundles.has(id) && first !== -1 && index > first);
  if (late === undefined) return;
  const detail = `the string bundle ${late.href} stands behind other files`;
  log.report('bundle-first', detail, { file: descriptorName, section: 'References', line: late.line });
}

async function checkManifest(source: PackageSource, names: readonly string[], log: IssueLog): Promise<void> {
  const { descriptorName } = source;
  const manifestName = manifestNameOf(descriptorName);
  const certificateName = certificateNameOf(descriptorName);
  const bytes = await readWhole(source, manifestName, defaultMaxLength);
  const manifest = manifestOf(bytes, manifestName);
  if (manifest instanceof OvfError) log.report('manifest-readable', manifest.detail, manifest.location);
  else if (manifest !== undefined) {
    const covered = new Set(manifest.entries.map(({ file }) => file));
    for (const file of names) {
      if (!covered.has(file)) log.report('manifest-complete', 'the manifest leaves out this file', { file });
    }
    for (const file of covered) {
      if ((await source.size(file)) !== undefined) continue;
      log.report('manifest-known', `the manifest names ${file}, which is not in the package`, { file: manifestName });
    }
  }
  const certificate = await readWhole(source, certificateName, defaultMaxLength);
  const { status, detail } = verifySignature(bytes, certificate, { fileName: certificateName });
  if (['signature-wrong', 'manifest-changed', 'certificate-unreadable'].includes(status)) {
    log.report('certificate-valid', detail, { file: certificateName });
  }
}

/** A refusal as an issue. */
async function collecting<T>(log: IssueLog, rule: ValidationRule, work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof OvfError)) throw error;
    log.report(rule, error.detail, error.location);
    return undefined;
  }
}
