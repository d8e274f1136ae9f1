import { OvfError } from '../../errors.ts';
import { packageName } from '../package-name.ts';

/** Digest algorithms of a manifest: SHA1 and SHA256 by the specification, SHA512 by newer tools. */
export const digestAlgorithms = ['SHA1', 'SHA256', 'SHA512'] as const;
export type DigestAlgorithm = (typeof digestAlgorithms)[number];

export interface ManifestEntry {
  readonly algorithm: DigestAlgorithm;
  readonly file: string;
  /** Lower-case hexadecimal. */
  readonly digest: string;
}

/** Digests of the files of a package (DSP0243 5.1). */
export interface Manifest {
  readonly entries: readonly ManifestEntry[];
}

const digestLength: Readonly<Record<DigestAlgorithm, number>> = { SHA1: 40, SHA256: 64, SHA512: 128 };
const maxLength = 4 * 1024 * 1024;
const maxEntries = 20_000;
/** `SHA256`, `SHA-256` and, as newer OpenSSL calls it, `SHA2-256`. */
const line = /^\s*SHA(?:2-(?=256|512)|-)?(1|256|512)\s*\((.*)\)\s*=\s*([0-9a-f]+)\s*$/i;

/** Reads lines such as `SHA256(disk.vmdk)= 0a1b…` or `SHA2-256 (disk.vmdk) = 0A1B…`. Throws `manifest-invalid`, `name-unsafe`. */
export function parseManifest(source: string | Uint8Array, fileName?: string): Manifest {
  if (source.length > maxLength) {
    throw new OvfError('manifest-invalid', `the manifest is longer than ${maxLength}`, { file: fileName });
  }
  const text = typeof source === 'string' ? source : new TextDecoder('utf-8').decode(source);
  const entries: ManifestEntry[] = [];
  const files = new Set<string>();
  for (const [index, content] of text
    .replace(/^\ufeff/, '')
    .split(/\r\n|\n|\r/)
    .entries()) {
    if (content.trim() === '') continue;
    const location = { file: fileName, line: index + 1 };
    const match = line.exec(content);
    if (match === null) throw new OvfError('manifest-invalid', 'the line is not a digest', location);
    const algorithm = `SHA${match[1]}` as DigestAlgorithm;
    const digest = match[3]!.toLowerCase();
    if (digest.length !== digestLength[algorithm]) {
      throw new OvfError('manifest-invalid', `${digest.length} digits are not a ${algorithm} digest`, location);
    }
    const file = packageName(match[2]!.trim(), location);
    if (files.has(file)) throw new OvfError('manifest-invalid', `the file ${file} is there twice`, location);
    files.add(file);
    if (files.size > maxEntries) throw new OvfError('manifest-invalid', `more than ${maxEntries} files`, location);
    entries.push({ algorithm, file, digest });
  }
  return { entries };
}

/** Writes a manifest as VMware's tools do: `SHA256(file)= hex`, one a line. */
export function formatManifest(manifest: Manifest): string {
  return manifest.entries.map(({ algorithm, file, digest }) => `${algorithm}(${file})= ${digest}\n`).join('');
}
