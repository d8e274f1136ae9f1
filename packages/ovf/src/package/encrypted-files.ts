import type { Envelope } from '../envelope/envelope.ts';
import { OvfError } from '../errors.ts';
import { childElements, type XmlElement } from '../xml/xml-tree.ts';

/** Hrefs and names that an EncryptionSection says are encrypted (DSP0243 2.1 9.16). */
function encryptedReferences(envelope: Envelope): ReadonlySet<string> {
  const found = new Set<string>();
  const visit = (element: XmlElement): void => {
    if (/^(Data|Cipher)Reference$/.test(element.name)) {
      const uri = element.attributes.find(({ name }) => name === 'URI')?.value;
      if (uri !== undefined) found.add(uri.replace(/^(ovf:\/\/?file\/|\.\/)/, ''));
    }
    for (const child of childElements(element)) visit(child);
  };
  for (const { name, element } of envelope.otherSections) if (name === 'EncryptionSection') visit(element);
  return found;
}

/** Throws `encrypted` for a file that the envelope says is encrypted: there is no key to read it with. */
export function refuseEncrypted(envelope: Envelope, file: { readonly id: string; readonly href: string }): void {
  const encrypted = encryptedReferences(envelope);
  if (!encrypted.has(file.href) && !encrypted.has(file.id)) return;
  const detail = 'the EncryptionSection says that this file is encrypted; decrypt the package with its own tool first';
  throw new OvfError('encrypted', detail, { file: file.href, section: 'EncryptionSection' });
}
