import type { Envelope } from '../envelope/envelope.ts';
import { OvfError, type OvfLocation } from '../errors.ts';
import { chunkName, isExternal, storedNamesFor } from './package-name.ts';
import type { PackageSource } from './package-source.ts';

/** Name of the manifest that belongs to a descriptor. */
export function manifestNameOf(descriptorName: string): string {
  return descriptorName.replace(/\.ovf$/i, '.mf');
}

/** Name of the certificate that belongs to a descriptor. */
export function certificateNameOf(descriptorName: string): string {
  return descriptorName.replace(/\.ovf$/i, '.cert');
}

/** Most chunks of one file that are looked for. */
const maxChunks = 10_000;

export interface StoredFilesOptions {
  /** Those that are not there, too, under their first name. */
  readonly missingToo?: boolean;
  /** Told of a reference that leads out of the package, which is then passed over; else it is thrown. */
  readonly onUnsafe?: (error: OvfError) => void;
}

/** Names of the files that the envelope references and the source has. Throws `name-unsafe`, `archive-limit`. */
export async function storedFiles(
  source: PackageSource,
  envelope: Envelope,
  { missingToo = false, onUnsafe }: StoredFilesOptions = {},
): Promise<string[]> {
  const names: string[] = [];
  for (const { href, chunkSize, line } of envelope.files) {
    if (isExternal(href)) continue;
    const found: string[] = [];
    const candidates = candidatesFor(href, { file: source.descriptorName, line, section: 'References' }, onUnsafe);
    for (const name of candidates) {
      const stored = (index: number) => (chunkSize === undefined ? name : chunkName(name, index));
      while ((await source.size(stored(found.length))) !== undefined) {
        found.push(stored(found.length));
        if (chunkSize === undefined) break;
        if (found.length > maxChunks)
          throw new OvfError('archive-limit', `more than ${maxChunks} chunks`, { file: href });
      }
      if (found.length > 0) break;
    }
    const [first] = candidates;
    if (found.length === 0 && missingToo && first !== undefined) {
      found.push(chunkSize === undefined ? first : chunkName(first, 0));
    }
    names.push(...found);
  }
  return names;
}

function candidatesFor(href: string, location: OvfLocation, onUnsafe: StoredFilesOptions['onUnsafe']): string[] {
  try {
    return storedNamesFor(href, location);
  } catch (error) {
    if (onUnsafe === undefined || !(error instanceof OvfError)) throw error;
    onUnsafe(error);
    return [];
  }
}

/** A whole file of at most `maxLength` bytes; absent when it is not there. Throws `archive-limit`. */
export async function readWhole(
  source: PackageSource,
  name: string,
  maxLength: number,
): Promise<Uint8Array | undefined> {
  const size = await source.size(name);
  if (size === undefined) return undefined;
  const parts: Uint8Array[] = [];
  let length = size ?? 0;
  if (length <= maxLength) {
    length = 0;
    for await (const part of source.read(name)) {
      length += part.length;
      if (length > maxLength) break;
      parts.push(part);
    }
  }
  if (length > maxLength) {
    throw new OvfError('archive-limit', `the file has more than ${maxLength} bytes`, { file: name });
  }
  return Buffer.concat(parts);
}
