import type { HttpNfcLeaseManifestEntry } from '@hypostyle/vim';
import { CliError } from '../errors.ts';

export type ChecksumType = 'sha1' | 'sha256' | 'sha512';

/** A disk as it arrived; `key` is that of its URL, the digest in lower hexadecimal. */
export interface ArrivedDisk {
  readonly key: string;
  readonly name: string;
  readonly size: number;
  readonly digest: string;
}

/** What came is what the server says that it sent. Throws `failed` where it is not, or nothing is said. */
export function compareWithManifest(
  { key, name, size, digest }: ArrivedDisk,
  type: ChecksumType,
  manifest: readonly HttpNfcLeaseManifestEntry[],
): void {
  const entry = manifest.find((one) => one.key === key);
  if (entry === undefined) throw new CliError('failed', `The server's manifest says nothing of ${name}.`);
  const said = entry.checksumType === type ? entry.checksum : type === 'sha1' ? entry.sha1 : undefined;
  if (said === undefined) throw new CliError('failed', `The server's manifest has no ${type} of ${name}.`);
  if (Number(entry.size) === size && said.toLowerCase() === digest) return;
  throw new CliError('failed', `${name} did not arrive as the server sent it.`, { next: 'Export it again.' });
}
