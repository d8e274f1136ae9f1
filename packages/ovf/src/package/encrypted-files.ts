import type { Envelope } from '../envelope/envelope.ts';
import { OvfError } from '../errors.ts';

/** Hrefs and names that an EncryptionSection says are encrypted (DSP0243 2.1 9.16). */
function encryptedReferences({ encryption }: Envelope): ReadonlySet<string> {
  return new Set(encryption?.references.map((uri) => uri.replace(/^(ovf:\/\/?file\/|\.\/)/, '')));
}

/** Throws `encrypted` for a file that the envelope says is encrypted: there is no key to read it with. */
export function refuseEncrypted(envelope: Envelope, file: { readonly id: string; readonly href: string }): void {
  const encrypted = encryptedReferences(envelope);
  if (!encrypted.has(file.href) && !encrypted.has(file.id)) return;
  const detail = 'the EncryptionSection says that this file is encrypted; decrypt the package with its own tool first';
  throw new OvfError('encrypted', detail, { file: file.href, section: 'EncryptionSection' });
}
