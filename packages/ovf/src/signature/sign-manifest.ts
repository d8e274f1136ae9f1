import { createPrivateKey, type KeyObject, sign, type X509Certificate } from 'node:crypto';
import { OvfError } from '../errors.ts';
import type { DigestAlgorithm } from '../package/digests/manifest.ts';
import { readCertificates } from './certificate.ts';

export interface SigningOptions {
  /** PEM, or a key that is read already. */
  readonly key: string | Uint8Array | KeyObject;
  readonly passphrase?: string;
  /** PEM: the signer's certificate, and those that lead to its root; in any order. */
  readonly certificates: string | Uint8Array;
  /** Digest of the signature; SHA256. */
  readonly digest?: DigestAlgorithm;
}

/** A key with the certificates to it, ready to sign manifests. */
export interface ManifestSigner {
  readonly signer: X509Certificate;
  /** The content of the `.cert` file for a manifest (DSP0243 5.1). */
  sign(manifest: Uint8Array, manifestName: string): Uint8Array;
  /** No content of {@link ManifestSigner.sign} for that name is longer, in bytes. */
  maxLength(manifestName: string): number;
}

/** Reads key and certificates: RSA or ECDSA. Throws `signing-failed`, `certificate-invalid`. */
export function manifestSigner({ key, passphrase, certificates, digest = 'SHA256' }: SigningOptions): ManifestSigner {
  const privateKey = readKey(key, passphrase);
  if (privateKey.asymmetricKeyType !== 'rsa' && privateKey.asymmetricKeyType !== 'ec') {
    throw new OvfError('signing-failed', `a key of the type ${privateKey.asymmetricKeyType} cannot sign packages`);
  }
  const chain = readCertificates(certificates);
  const signer = chain.find((certificate) => certificate.checkPrivateKey(privateKey));
  if (signer === undefined) throw new OvfError('signing-failed', 'none of the certificates belongs to the key');
  const pem = [signer, ...chain.filter((one) => one !== signer)].map((one) => one.toString().trimEnd()).join('\n');
  const format = (signature: string, name: string) => Buffer.from(`${digest}(${name})= ${signature}\n${pem}\n`, 'utf8');
  // An RSA signature is as long as the modulus; a DER one of ECDSA at most two numbers of the order's length and 9 bytes.
  const { modulusLength } = privateKey.asymmetricKeyDetails ?? {};
  const longest = modulusLength === undefined ? 2 * 66 + 9 : Math.ceil(modulusLength / 8);
  return {
    signer,
    sign: (manifest, name) => format(sign(digest.toLowerCase(), manifest, privateKey).toString('hex'), name),
    maxLength: (name) => format('0'.repeat(2 * longest), name).length,
  };
}

function readKey(key: SigningOptions['key'], passphrase: string | undefined): KeyObject {
  if (typeof key === 'object' && 'asymmetricKeyType' in key) return key;
  try {
    const bytes = typeof key === 'string' ? key : Buffer.from(key as Uint8Array);
    return createPrivateKey({ key: bytes, ...(passphrase === undefined ? {} : { passphrase }) });
  } catch (cause) {
    // About one wrong passphrase in 256 gives bytes that look decrypted, and are no key.
    const encrypted = typeof key === 'string' || ArrayBuffer.isView(key) ? isEncrypted(key) : false;
    const why =
      encrypted || /passphrase|bad decrypt|interrupted or cancelled/i.test(String(cause))
        ? ' without its right passphrase'
        : '';
    throw new OvfError('signing-failed', `the private key cannot be read${why}`, {}, { cause });
  }
}

function isEncrypted(key: string | NodeJS.ArrayBufferView): boolean {
  const text =
    typeof key === 'string' ? key : Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('latin1');
  return /^-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED/m.test(text);
}
