import type { Envelope } from '../envelope/envelope.ts';
import type { OvfWarning } from '../errors.ts';
import { isExternal, storedNamesFor } from './package-name.ts';
import { certificateNameOf, manifestNameOf } from './stored-files.ts';

/**
 * How the order of an archive is not that of DSP0243 5.3: descriptor, manifest, certificate, then the files in the order
 * of References, chunks in their own; manifest and certificate may both be last instead. Empty when it is.
 */
export function orderWarnings(names: readonly string[], descriptorName: string, envelope: Envelope): OvfWarning[] {
  const manifestName = manifestNameOf(descriptorName);
  const certificateName = certificateNameOf(descriptorName);
  const warnings: OvfWarning[] = [];
  const warn = (detail: string, file: string) => warnings.push({ detail, location: { file } });
  const isSignature = (name: string) => name === manifestName || name === certificateName;
  if (names[0] !== descriptorName) warn('the descriptor is not the first file of the archive', descriptorName);
  const signature = names.filter(isSignature);
  if (signature.length > 0) {
    const expected = [manifestName, certificateName].filter((name) => signature.includes(name));
    const first = names.slice(1, 1 + expected.length);
    const last = names.slice(-expected.length);
    const same = (part: readonly string[]) => part.join('\n') === expected.join('\n');
    if (!same(first) && !same(last)) {
      warn('it is neither right behind the descriptor nor at the end of the archive', expected[0]!);
    }
  }
  const places = new Map<string, number>();
  for (const [index, file] of envelope.files.entries()) {
    if (isExternal(file.href)) continue;
    for (const name of storedNamesFor(file.href)) places.set(name, index);
  }
  const placeOf = (name: string) => places.get(name) ?? places.get(name.replace(/\.\d{9}$/, ''));
  let before = -1;
  for (const name of names) {
    const place = placeOf(name);
    if (place === undefined || name === descriptorName) continue;
    if (place < before) {
      warn('it stands behind a file that References has after it', name);
      break;
    }
    before = place;
  }
  return warnings;
}
