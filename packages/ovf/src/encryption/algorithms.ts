export const xmlEncryptionNamespace = 'http://www.w3.org/2001/04/xmlenc#';
export const xmlEncryption11Namespace = 'http://www.w3.org/2009/xmlenc11#';
export const xmlSignatureNamespace = 'http://www.w3.org/2000/09/xmldsig#';

export type CipherName = 'aes128-cbc' | 'aes192-cbc' | 'aes256-cbc' | 'aes128-gcm' | 'aes192-gcm' | 'aes256-gcm';

/** A block encryption of XML Encryption 1.1 (5.2), as node:crypto has it. */
export interface ContentCipher {
  readonly name: CipherName;
  readonly uri: string;
  readonly nodeName: `aes-${128 | 192 | 256}-${'cbc' | 'gcm'}`;
  readonly mode: 'cbc' | 'gcm';
  readonly keyBytes: number;
  /** Of the initialization vector, which goes before the content. */
  readonly ivBytes: number;
}

/** A symmetric key wrap of XML Encryption 1.1 (5.6.2): RFC 3394. */
export interface KeyWrap {
  readonly uri: string;
  readonly nodeName: string;
  readonly keyBytes: number;
}

const lengths = [128, 192, 256] as const;

export const contentCiphers: readonly ContentCipher[] = lengths.flatMap((bits) =>
  (['cbc', 'gcm'] as const).map((mode) => ({
    name: `aes${bits}-${mode}` as const,
    uri: `${mode === 'cbc' ? xmlEncryptionNamespace : xmlEncryption11Namespace}aes${bits}-${mode}`,
    nodeName: `aes-${bits}-${mode}` as const,
    mode,
    keyBytes: bits / 8,
    ivBytes: mode === 'cbc' ? 16 : 12,
  })),
);

export const keyWraps: readonly KeyWrap[] = lengths.map((bits) => ({
  uri: `${xmlEncryptionNamespace}kw-aes${bits}`,
  nodeName: `id-aes${bits}-wrap`,
  keyBytes: bits / 8,
}));

/** Names under which PBKDF2 is known: XML Encryption 1.1, PKCS #5, and the example in the text of OVF 2.x. */
export const pbkdf2Names: ReadonlySet<string> = new Set([
  `${xmlEncryption11Namespace}pbkdf2`,
  'http://www.rsasecurity.com/rsalabs/pkcs/schemas/pkcs-5v2-0#pbkdf2',
  'http://www.rsasecurity.com/rsalabs/pkcs/schemas/pkcs-5#pbkdf2',
]);

const moreSignature = 'http://www.w3.org/2001/04/xmldsig-more#';

/** Digest of a pseudorandom function by its name. */
export const pseudorandomFunctions: ReadonlyMap<string, string> = new Map([
  [`${xmlSignatureNamespace}hmac-sha1`, 'sha1'],
  ...(['sha224', 'sha256', 'sha384', 'sha512'] as const).map(
    (digest) => [`${moreSignature}hmac-${digest}`, digest] as const,
  ),
]);

export const hmacSha256 = `${moreSignature}hmac-sha256`;

/** Tag of GCM, behind the content. */
export const gcmTagBytes = 16;

/** What may be encrypted under one initialization vector of GCM (NIST SP 800-38D 5.2.1.1). */
export const maxGcmBytes = 2 ** 36 - 32;
