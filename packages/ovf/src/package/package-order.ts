import type { Envelope } from '../envelope/envelope.ts';
import type { OvfWarning } from '../errors.ts';
import { FileSet } from './file-set.ts';
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
  const files = new FileSet(envelope, true, descriptorName);
  const places = new Map(files.references.map((reference, index) => [reference, index]));
  let before = -1;
  for (const name of names) {
    const reference = files.referenceOf(name);
    if (reference === undefined || name === descriptorName) continue;
    const place = places.get(reference)!;
    if (place < before) {
      warn('it stands behind a file that References has after it', name);
      break;
    }
    before = place;
  }
  return warnings;
}
