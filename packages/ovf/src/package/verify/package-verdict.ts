import type { OvfWarning } from '../../errors.ts';
import type { SignatureVerdict } from '../../signature/verify-signature.ts';
import type { DigestAlgorithm } from '../digests/manifest.ts';

/**
 * What verification found of one stored file. `differs`: not the bytes of the manifest. `missing`: named by the manifest or
 * the descriptor, and not there. `uncovered`: there, and not in the manifest. `invalid`: descriptor or manifest that cannot
 * be read as such.
 */
export type FileStatus = 'matches' | 'differs' | 'missing' | 'uncovered' | 'unreadable' | 'invalid';

export interface FileVerdict {
  readonly file: string;
  readonly status: FileStatus;
  readonly algorithm?: DigestAlgorithm;
  /** Digest that the manifest has, lower-case hexadecimal. */
  readonly expected?: string;
  readonly actual?: string;
  /** Bytes; absent when they are not known. */
  readonly size?: number;
  readonly detail?: string;
}

export interface PackageVerdict {
  /**
   * `good`: there is a manifest, each file matches it, and no signature speaks against it. `unproven`: there is no
   * manifest, and nothing else is wrong. `bad`: something is.
   */
  readonly result: 'good' | 'unproven' | 'bad';
  /** Every file of the package but the manifest and the certificate, unless they are `invalid`. */
  readonly files: readonly FileVerdict[];
  readonly signature: SignatureVerdict;
  readonly warnings: readonly OvfWarning[];
}

/** Statuses of a signature that make a package bad whatever the policy; trust is the caller's to judge. */
const broken = new Set([
  'signature-wrong',
  'manifest-changed',
  'certificate-unreadable',
  'expired',
  'not-yet-valid',
  'weak-digest',
]);

export function packageVerdict(
  files: readonly FileVerdict[],
  signature: SignatureVerdict,
  warnings: readonly OvfWarning[],
  hasManifest: boolean,
): PackageVerdict {
  // Without a manifest no file is covered, and none is to blame.
  const wrong = files.some(({ status }) => status !== 'matches' && (hasManifest || status !== 'uncovered'));
  const bad = wrong || broken.has(signature.status);
  return { result: bad ? 'bad' : hasManifest ? 'good' : 'unproven', files, signature, warnings };
}
