import { OvfError } from '../errors.ts';
import { parseXml } from '../xml/xml-reader.ts';
import { childElements, textOf, type XmlElement } from '../xml/xml-tree.ts';
import { contentCiphers, xmlEncryptionNamespace } from './algorithms.ts';
import { type ContentKey, decrypted } from './cipher-stream.ts';
import { keyElementFor } from './encrypted-files.ts';
import {
  algorithmOf,
  attributeOf,
  descendants,
  fromBase64,
  isEncryptedData,
  keysWithin,
  only,
} from './encryption-elements.ts';
import { PassphraseKeys } from './key-derivation.ts';

/** Encrypted parts within encrypted parts. */
const maxNesting = 4;
const maxBytes = 4 * 2 ** 20;

/** Whether parts of a descriptor are encrypted: elements, or the content of some (DSP0243 2.1 9.16). */
export function hasEncryptedMarkup(root: XmlElement): boolean {
  return encryptedParts(root).length > 0;
}

/** EncryptedData that holds markup: what stands in a File is of the file. */
function encryptedParts(element: XmlElement): XmlElement[] {
  return childElements(element).flatMap((child) =>
    isEncryptedData(child) ? (element.name === 'File' ? [] : [child]) : encryptedParts(child),
  );
}

/**
 * The descriptor with its encrypted parts in the clear. Throws `encrypted` for what is not understood, by its name,
 * `passphrase-wrong`, and what the parts are refused for as XML.
 */
export async function withPlainMarkup(
  root: XmlElement,
  {
    passphrase,
    fileName,
    source,
  }: { readonly passphrase: Uint8Array; readonly fileName: string | undefined; readonly source: string },
): Promise<XmlElement> {
  const at = (part: XmlElement) => ({ file: fileName, section: 'EncryptedData', line: part.line });
  const keys = new PassphraseKeys(passphrase, fileName);
  const prefixes = declaredPrefixes(source);
  let plain = root;
  for (let depth = 0; encryptedParts(plain).length > 0; depth += 1) {
    const [part] = encryptedParts(plain);
    if (depth >= maxNesting && part !== undefined)
      throw new OvfError('encrypted', `parts are encrypted more than ${maxNesting} times over`, at(part));
    const opened = new Map<XmlElement, readonly (XmlElement | string)[]>();
    const sections = descendants(plain, 'EncryptionSection').flatMap(keysWithin);
    let bytes = 0;
    for (const one of encryptedParts(plain)) {
      const text = await textOfPart(one, keys, sections, fileName);
      bytes += text.length;
      if (bytes > maxBytes) throw new OvfError('xml-limit', `the encrypted parts are longer than ${maxBytes}`, at(one));
      opened.set(one, nodesOf(text, prefixes, parentOf(plain, one), fileName));
    }
    plain = replaced(plain, opened);
  }
  return plain;
}

async function textOfPart(
  part: XmlElement,
  keys: PassphraseKeys,
  sections: readonly XmlElement[],
  fileName: string | undefined,
): Promise<string> {
  const location = { file: fileName, section: 'EncryptedData', line: part.line };
  const refuse = (detail: string): never => {
    throw new OvfError('encrypted', detail, location);
  };
  const type = attributeOf(part, 'Type');
  if (type !== `${xmlEncryptionNamespace}Element` && type !== `${xmlEncryptionNamespace}Content`)
    return refuse(`what is encrypted is neither an element nor the content of one but "${type ?? ''}"`);
  const algorithm = algorithmOf(only(part, 'EncryptionMethod'));
  const cipher = contentCiphers.find(({ uri }) => uri === algorithm);
  if (cipher === undefined) return refuse(`the cipher "${algorithm ?? ''}" is not known`);
  const data = only(part, 'CipherData');
  const value = data && only(data, 'CipherValue');
  const bytes = value === undefined ? undefined : fromBase64(textOf(value), maxBytes);
  if (bytes === undefined) return refuse('the encrypted part has no CipherValue in base64');
  const id = attributeOf(part, 'Id');
  const element = keyElementFor(part, sections, id === undefined ? [] : [id]);
  if (element === undefined) return refuse('no key of the EncryptionSection is for this part');
  const key: ContentKey = { cipher, ...(await keys.keyOf(element, cipher.keyBytes, sections)) };
  const found: Uint8Array[] = [];
  for await (const piece of decrypted(once(bytes), key, fileName ?? 'EncryptedData')) found.push(piece);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(found));
  } catch (cause) {
    throw new OvfError('passphrase-wrong', 'the passphrase is not that of this part', location, { cause });
  }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

/** The nodes of a text that stood where the part stands: with the prefixes that mean something there. */
function nodesOf(
  text: string,
  prefixes: ReadonlyMap<string, string>,
  parent: XmlElement,
  fileName: string | undefined,
): readonly (XmlElement | string)[] {
  const plain = text.replace(/^\ufeff?<\?xml[^>]*\?>\s*/, '');
  const usual = parent.prefix === '' ? parent.namespace : (prefixes.get('') ?? '');
  const declared = [...prefixes]
    .filter(([prefix]) => prefix !== '')
    .map(([prefix, namespace]) => ` xmlns:${prefix}="${escaped(namespace)}"`);
  // What ends the element around it is no part of a document.
  const root = parseXml(`<part xmlns="${escaped(usual)}"${declared.join('')}>${plain}</part>`, {
    ...(fileName === undefined ? {} : { fileName }),
    maxAttributes: 128 + prefixes.size,
  });
  return root.children;
}

function escaped(text: string): string {
  return text.replace(/[&<"]/g, (character) => ({ '&': '&amp;', '<': '&lt;', '"': '&quot;' })[character] ?? '');
}

/** Every prefix that the descriptor declares; the first of two meanings. */
function declaredPrefixes(source: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const [, prefix = '', , namespace = ''] of source.matchAll(/\bxmlns(?::([\w.-]+))?\s*=\s*(["'])([^"'<]*)\2/g)) {
    if (!found.has(prefix) && found.size < 64) found.set(prefix, namespace);
  }
  found.delete('xml');
  found.delete('xmlns');
  return found;
}

function parentOf(root: XmlElement, part: XmlElement): XmlElement {
  const find = (element: XmlElement): XmlElement | undefined =>
    element.children.includes(part)
      ? element
      : childElements(element).reduce<XmlElement | undefined>((found, child) => found ?? find(child), undefined);
  return find(root) ?? root;
}

function replaced(element: XmlElement, opened: ReadonlyMap<XmlElement, readonly (XmlElement | string)[]>): XmlElement {
  const children = element.children.flatMap((child) =>
    typeof child === 'string' ? [child] : (opened.get(child) ?? [replaced(child, opened)]),
  );
  const layout = children.filter((child) => typeof child === 'string').every((text) => text.trim() === '');
  const hasElements = children.some((child) => typeof child === 'object');
  return {
    ...element,
    children: layout && hasElements ? children.filter((child) => typeof child === 'object') : children,
  };
}
