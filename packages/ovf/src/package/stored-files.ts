import type { Envelope } from '../envelope/envelope.ts';
import { OvfError } from '../errors.ts';
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

/**
 * Names of the files that the envelope references and the source has. With `missingToo` those that it has not, too, under
 * their first name. Throws `name-unsafe`, `archive-limit`.
 */
export async function storedFiles(
  source: PackageSource,
  envelope: Envelope,
  { missingToo = false }: { readonly missingToo?: boolean } = {},
): Promise<string[]> {
  const names: string[] = [];
  for (const { href, chunkSize, line } of envelope.files) {
    if (isExternal(href)) continue;
    const found: string[] = [];
    const candidates = storedNamesFor(href, { file: source.descriptorName, line });
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
