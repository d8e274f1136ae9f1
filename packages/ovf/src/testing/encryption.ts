import { createCipheriv, pbkdf2Sync, randomBytes } from 'node:crypto';

export const xenc = 'http://www.w3.org/2001/04/xmlenc#';
export const xenc11 = 'http://www.w3.org/2009/xmlenc11#';

/** How a package is encrypted by hand, as the example in the text of OVF 2.x has it: a key derived, and none wrapped. */
export interface Derived {
  readonly salt?: string;
  readonly iterations?: number;
  readonly keyBytes?: number;
  readonly prf?: string;
  readonly method?: string;
  /** URIs of the ReferenceList. */
  readonly references: readonly string[];
}

export function derivedKey({
  salt = 'c2FsdCBhbmQgcGVwcGVy',
  iterations = 1000,
  keyBytes,
  prf,
  method,
  references,
}: Derived) {
  const pkcs = 'http://www.rsasecurity.com/rsalabs/pkcs/schemas/pkcs-5v2-0#';
  const length = keyBytes === undefined ? '' : `<KeyLength>${keyBytes}</KeyLength>`;
  const pseudorandom = prf === undefined ? '' : `<PRF Algorithm="${prf}"/>`;
  const list = references.map((uri) => `<xenc:DataReference URI="${uri}"/>`).join('');
  return `<xenc11:DerivedKey xmlns:xenc="${xenc}" xmlns:xenc11="${xenc11}"><xenc11:KeyDerivationMethod Algorithm="${method ?? `${pkcs}pbkdf2`}"/><p:PBKDF2-params xmlns:p="${pkcs}" xmlns=""><Salt><Specified>${salt}</Specified></Salt><IterationCount>${iterations}</IterationCount>${length}${pseudorandom}</p:PBKDF2-params><xenc:ReferenceList>${list}</xenc:ReferenceList></xenc11:DerivedKey>`;
}

/** The key that {@link derivedKey} stands for. */
export function keyOf(
  passphrase: string,
  keyBytes: number,
  { salt = 'c2FsdCBhbmQgcGVwcGVy', iterations = 1000, digest = 'sha1' } = {},
) {
  return pbkdf2Sync(passphrase, Buffer.from(salt, 'base64'), iterations, keyBytes, digest);
}

/** Bytes encrypted as XML Encryption has it, by nothing but node:crypto; CBC with the padding of ISO 10126. */
export function sealedBytes(plain: Uint8Array, key: Uint8Array, mode: 'cbc' | 'gcm'): Buffer {
  const bits = key.length * 8;
  if (mode === 'gcm') {
    const iv = randomBytes(12);
    const cipher = createCipheriv(`aes-${bits}-gcm` as 'aes-256-gcm', key, iv);
    return Buffer.concat([iv, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
  }
  const iv = randomBytes(16);
  const padding = randomBytes(16 - (plain.length % 16));
  padding[padding.length - 1] = padding.length;
  const cipher = createCipheriv(`aes-${bits}-cbc`, key, iv).setAutoPadding(false);
  return Buffer.concat([iv, cipher.update(plain), cipher.update(padding), cipher.final()]);
}

export function encryptedData(id: string, algorithm: string, content: string, type = ''): string {
  return `<xenc:EncryptedData xmlns:xenc="${xenc}" Id="${id}"${type === '' ? '' : ` Type="${xenc}${type}"`}><xenc:EncryptionMethod Algorithm="${algorithm}"/><xenc:CipherData>${content}</xenc:CipherData></xenc:EncryptedData>`;
}

export function cipherReference(uri: string): string {
  return `<xenc:CipherReference URI="${uri}"/>`;
}

export function cipherValue(bytes: Uint8Array): string {
  return `<xenc:CipherValue>${Buffer.from(bytes).toString('base64')}</xenc:CipherValue>`;
}
