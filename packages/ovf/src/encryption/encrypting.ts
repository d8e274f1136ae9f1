import { createCipheriv, pbkdf2, randomBytes } from 'node:crypto';
import { promisify } from 'node:util';
import type { Envelope, FileReference } from '../envelope/envelope.ts';
import type { XmlAttribute, XmlElement } from '../xml/xml-tree.ts';
import {
  type CipherName,
  contentCiphers,
  hmacSha256,
  keyWraps,
  xmlEncryption11Namespace,
  xmlEncryptionNamespace,
  xmlSignatureNamespace,
} from './algorithms.ts';
import type { ContentKey } from './cipher-stream.ts';
import { isEncrypted } from './encrypted-files.ts';
import { isEncryptedData } from './encryption-elements.ts';

const derive = promisify(pbkdf2);
const wrapVector = Buffer.from('A6A6A6A6A6A6A6A6', 'hex');

/** How a package is encrypted. */
export interface EncryptionOptions {
  readonly passphrase: string | Uint8Array;
  /** `aes256-cbc` unless told: every reader of XML Encryption has it, and it knows no greatest size. */
  readonly cipher?: CipherName;
  /** Of PBKDF2 with HMAC-SHA-256; 600,000 unless told. */
  readonly iterations?: number;
}

/**
 * What a package is encrypted with: a random key, which PBKDF2 and an AES key wrap keep under the passphrase. So a wrong
 * passphrase shows before any content is read.
 */
export class PackageEncryption {
  readonly #key: Buffer;
  readonly #options: EncryptionOptions;
  readonly #ids: string[] = [];

  constructor(options: EncryptionOptions) {
    this.#options = options;
    this.#key = randomBytes(this.cipher.keyBytes);
  }

  get cipher() {
    const name = this.#options.cipher ?? 'aes256-cbc';
    const cipher = contentCiphers.find((one) => one.name === name);
    if (cipher === undefined) throw new RangeError(`there is no cipher ${name}`);
    return cipher;
  }

  get contentKey(): ContentKey {
    return { cipher: this.cipher, key: this.#key, proven: true };
  }

  /** The reference of a file that is encrypted now. */
  reference(file: FileReference): FileReference {
    const id = `encrypted-${this.#ids.length + 1}`;
    this.#ids.push(id);
    const data = xenc(
      'EncryptedData',
      { Id: id, Type: 'http://www.iana.org/assignments/media-types/application/octet-stream' },
      [
        xenc('EncryptionMethod', { Algorithm: this.cipher.uri }),
        xenc('CipherData', {}, [xenc('CipherReference', { URI: file.href })]),
      ],
    );
    return { ...file, extensions: [...(file.extensions ?? []), data] };
  }

  /** The envelope with the section that has the key. */
  async sealed(envelope: Envelope): Promise<Envelope> {
    const { passphrase, iterations = 600_000 } = this.#options;
    const salt = randomBytes(16);
    const bits = 8 * this.cipher.keyBytes;
    const wrap = keyWraps.find(({ keyBytes }) => keyBytes * 8 === bits);
    if (wrap === undefined) throw new RangeError(`there is no key wrap of ${bits} bits`);
    const wrapping = await derive(passphrase, salt, iterations, wrap.keyBytes, 'sha256');
    const encrypting = createCipheriv(wrap.nodeName, wrapping, wrapVector);
    const wrapped = Buffer.concat([encrypting.update(this.#key), encrypting.final()]);
    const parameters = xenc11('PBKDF2-params', {}, [
      xenc11('Salt', {}, [xenc11('Specified', {}, [salt.toString('base64')])]),
      xenc11('IterationCount', {}, [String(iterations)]),
      xenc11('KeyLength', {}, [String(wrap.keyBytes)]),
      xenc11('PRF', { Algorithm: hmacSha256 }),
    ]);
    const method = xenc11('KeyDerivationMethod', { Algorithm: `${xmlEncryption11Namespace}pbkdf2` }, [parameters]);
    const key = xenc('EncryptedKey', {}, [
      xenc('EncryptionMethod', { Algorithm: wrap.uri }),
      element(xmlSignatureNamespace, 'ds', 'KeyInfo', {}, [xenc11('DerivedKey', {}, [method])]),
      xenc('CipherData', {}, [xenc('CipherValue', {}, [wrapped.toString('base64')])]),
      xenc(
        'ReferenceList',
        {},
        this.#ids.map((id) => xenc('DataReference', { URI: `#${id}` })),
      ),
    ]);
    const encryption = {
      info: { text: 'Encrypted files of the package' },
      algorithms: [],
      references: [],
      extensions: [key],
    };
    return { ...envelope, encryption };
  }
}

/** A reference without what says that its file is encrypted. */
export function plainReference(file: FileReference): FileReference {
  const { extensions = [], ...rest } = file;
  const others = extensions.filter((one) => !isEncryptedData(one));
  return { ...rest, ...(others.length === 0 ? {} : { extensions: others }) };
}

/**
 * The envelope as if nothing of it had ever been encrypted, for whoever is sent the content in the clear. The sizes of such
 * files are left out: theirs are those of the encrypted ones.
 */
export function withoutEncryption(envelope: Envelope): Envelope {
  const { encryption: _, ...rest } = envelope;
  const files = envelope.files.map((file) => {
    if (!isEncrypted(envelope, file)) return file;
    const { size: __, ...plain } = plainReference(file);
    return plain;
  });
  return { ...rest, files };
}

function element(
  namespace: string,
  prefix: string,
  name: string,
  attributes: Readonly<Record<string, string>>,
  children: readonly (XmlElement | string)[],
): XmlElement {
  const written = Object.entries(attributes).map(
    ([key, value]): XmlAttribute => ({ namespace: '', prefix: '', name: key, value }),
  );
  return { namespace, prefix, name, attributes: written, children };
}

function xenc(
  name: string,
  attributes: Readonly<Record<string, string>>,
  children: readonly (XmlElement | string)[] = [],
) {
  return element(xmlEncryptionNamespace, 'xenc', name, attributes, children);
}

function xenc11(
  name: string,
  attributes: Readonly<Record<string, string>>,
  children: readonly (XmlElement | string)[] = [],
) {
  return element(xmlEncryption11Namespace, 'xenc11', name, attributes, children);
}
