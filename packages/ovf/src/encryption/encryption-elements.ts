import { childElements, type XmlElement } from '../xml/xml-tree.ts';
import { xmlEncryption11Namespace, xmlEncryptionNamespace, xmlSignatureNamespace } from './algorithms.ts';

const own = new Set([xmlEncryptionNamespace, xmlEncryption11Namespace, xmlSignatureNamespace]);

/** Whether an element is one of XML Encryption, in either version, or of the key information that it takes from XML Signature. */
function isEncryptionElement({ namespace }: XmlElement): boolean {
  return own.has(namespace);
}

export function isEncryptedData(element: XmlElement): boolean {
  return element.name === 'EncryptedData' && isEncryptionElement(element);
}

/** Every element of a local name below an element, in document order. */
export function descendants(element: XmlElement, name: string): XmlElement[] {
  return childElements(element).flatMap((child) => [
    ...(child.name === name ? [child] : []),
    ...descendants(child, name),
  ]);
}

/** The keys below an element, without those that are within the key information of others. */
export function keysWithin(element: XmlElement): XmlElement[] {
  return element.name === 'DerivedKey' || element.name === 'EncryptedKey'
    ? [element]
    : childElements(element).flatMap(keysWithin);
}

/** The first child of a local name. */
export function only(element: XmlElement, name: string): XmlElement | undefined {
  return childElements(element).find((child) => child.name === name);
}

export function attributeOf(element: XmlElement | undefined, name: string): string | undefined {
  return element?.attributes.find((attribute) => attribute.name === name)?.value.trim() || undefined;
}

export function algorithmOf(element: XmlElement | undefined): string | undefined {
  return attributeOf(element, 'Algorithm');
}

/** Bytes of base64, white space apart; undefined for anything else, and for more than `maxBytes`. */
export function fromBase64(text: string, maxBytes: number): Buffer | undefined {
  const plain = text.replace(/\s+/g, '');
  if (plain.length === 0 || plain.length % 4 !== 0 || plain.length > Math.ceil(maxBytes / 3) * 4 + 4) return undefined;
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(plain)) return undefined;
  const bytes = Buffer.from(plain, 'base64');
  return bytes.length <= maxBytes ? bytes : undefined;
}
