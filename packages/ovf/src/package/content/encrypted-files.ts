import type { Envelope } from '../../envelope/envelope.ts';
import { OvfError } from '../../errors.ts';

/**
 * Throws `encrypted` for a file that the EncryptionSection names (DSP0243 2.1 9.16): there is no key here to read it with.
 */
export function refuseEncrypted(envelope: Envelope, file: { readonly id: string; readonly href: string }): void {
  const { encryption } = envelope;
  const named = (encryption?.references ?? []).map((uri) => uri.replace(/^(ovf:\/{1,2}(file\/)?|\.\/)/, ''));
  if (!named.includes(file.href) && !named.includes(file.id)) return;
  const detail = 'the EncryptionSection says that this file is encrypted; decrypt the package with its own tool first';
  throw new OvfError('encrypted', detail, { file: file.href, section: 'EncryptionSection', line: encryption?.line });
}
