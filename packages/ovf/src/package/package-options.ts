import type { TarLimits } from './archive/tar-entries.ts';
import type { ByteRange } from './package-source.ts';

/** Bounds and policy for reading a package. */
export interface PackageOptions {
  /** Files in the package; 10,000. */
  readonly maxEntries?: number;
  /** Length of the descriptor in bytes; 4 MiB. */
  readonly maxDescriptorLength?: number;
  /** Length of the manifest and of the certificate in bytes; 4 MiB. */
  readonly maxManifestLength?: number;
  /**
   * `strict` refuses an order of files that DSP0243 5.3 does not allow. `lax` takes, with a warning, files that References
   * does not list, directories, an archive without its end mark and, where it can seek, a descriptor that is not first.
   * Without either, the order is a warning and the rest is refused.
   */
  readonly rules?: 'strict' | 'lax';
  /** `ignore` does not read the manifest at all, to look into a package that is damaged. */
  readonly manifest?: 'enforce' | 'ignore';
  /**
   * What is wrong with files and manifest is a warning, to look into a package that is damaged or not all there; what is
   * missing throws when it is opened. Not of a stream.
   */
  readonly damaged?: boolean;
  /** Of an encrypted package; without it encrypted files are refused when they are opened (`encrypted`). */
  readonly passphrase?: string | Uint8Array | undefined;
  /** Gets a file that the descriptor names by its URL; without it such files are refused when they are opened. */
  readonly fetch?: (url: string, range?: ByteRange) => AsyncIterable<Uint8Array>;
}

export function tarLimitsOf({ maxEntries, rules }: PackageOptions): TarLimits {
  return { ...(maxEntries === undefined ? {} : { maxEntries }), lax: rules === 'lax' };
}

export const defaultMaxLength = 4 * 1024 * 1024;
