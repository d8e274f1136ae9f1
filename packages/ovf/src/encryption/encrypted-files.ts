import type { Envelope, FileReference } from '../envelope/envelope.ts';
import { OvfError } from '../errors.ts';
import { childElements, type XmlElement } from '../xml/xml-tree.ts';
import { contentCiphers } from './algorithms.ts';
import type { ContentKey } from './cipher-stream.ts';
import { algorithmOf, attributeOf, descendants, isEncryptedData, keysWithin, only } from './encryption-elements.ts';
import { PassphraseKeys } from './key-derivation.ts';

type File = Pick<FileReference, 'id' | 'href' | 'extensions'>;

/** The EncryptedData that says how a file is encrypted (DSP0243 2.1 9.16). */
function dataOf(file: File): XmlElement | undefined {
  return file.extensions?.find(isEncryptedData);
}

/** Whether a file is encrypted: it says so, or the EncryptionSection names it. */
export function isEncrypted(envelope: Envelope, file: File): boolean {
  return dataOf(file) !== undefined || isNamed(envelope, file);
}

function isNamed({ encryption }: Envelope, { href, id }: File): boolean {
  const named = (encryption?.references ?? []).map((uri) => uri.replace(/^(ovf:\/{1,2}(file\/)?|\.\/|#)/, ''));
  return named.includes(href) || named.includes(id);
}

/** The key that an EncryptedData brings along, or that the section has for it, under any of its names. */
export function keyElementFor(
  data: XmlElement,
  keys: readonly XmlElement[],
  names: readonly string[],
): XmlElement | undefined {
  const info = only(data, 'KeyInfo');
  const inline = info && childElements(info).find(({ name }) => name === 'EncryptedKey' || name === 'DerivedKey');
  if (inline !== undefined) return inline;
  return keys.find((key) =>
    descendants(key, 'DataReference').some((reference) =>
      names.includes((attributeOf(reference, 'URI') ?? '').replace(/^(ovf:\/{1,2}(file\/)?|\.\/|#)/, '')),
    ),
  );
}

/** How the encrypted files of a package are read, by its passphrase. */
export class EncryptedFiles {
  readonly #envelope: Envelope;
  readonly #keys: PassphraseKeys | undefined;

  constructor(envelope: Envelope, passphrase: string | Uint8Array | undefined, fileName: string) {
    this.#envelope = envelope;
    this.#keys = passphrase === undefined ? undefined : new PassphraseKeys(Buffer.from(passphrase), fileName);
  }

  /** Throws what refuses an encrypted file, as far as it can be told before it is read. Without a passphrase nothing is. */
  async check(): Promise<void> {
    if (this.#keys === undefined) return;
    for (const file of this.#envelope.files) await this.keyFor(file);
  }

  /**
   * Cipher and key of a file; undefined for one that is not encrypted. Throws `encrypted` without a passphrase, and for what
   * is not understood; `passphrase-wrong`.
   */
  async keyFor(file: FileReference): Promise<ContentKey | undefined> {
    if (!isEncrypted(this.#envelope, file)) return undefined;
    const data = dataOf(file);
    const { encryption } = this.#envelope;
    const location = { file: file.href, section: 'EncryptionSection', line: data?.line ?? encryption?.line };
    const refuse = (detail: string): never => {
      throw new OvfError('encrypted', detail, location);
    };
    if (this.#keys === undefined)
      return refuse('the EncryptionSection says that this file is encrypted; it takes the passphrase of the package');
    if (data === undefined) return refuse('the package does not say by which cipher this file is encrypted');
    const algorithm = algorithmOf(only(data, 'EncryptionMethod'));
    const cipher = contentCiphers.find(({ uri }) => uri === algorithm);
    if (cipher === undefined) return refuse(`the cipher "${algorithm ?? ''}" is not known`);
    const uri = attributeOf(descendants(data, 'CipherReference')[0], 'URI')?.replace(/^\.\//, '');
    if (uri === undefined || (uri !== file.href && uri !== encodeURI(file.href)))
      return refuse(`the encrypted content is not the file itself but "${uri ?? 'in the descriptor'}"`);
    const keys = (encryption?.extensions ?? []).flatMap(keysWithin);
    const names = [attributeOf(data, 'Id'), file.href, file.id].filter((name) => name !== undefined);
    const key = keyElementFor(data, keys, names);
    if (key === undefined) return refuse('no key of the EncryptionSection is for this file');
    return { cipher, ...(await this.#keys.keyOf(key, cipher.keyBytes, keys)) };
  }
}
