import { createPublicKey, type KeyObject, X509Certificate } from 'node:crypto';
import { fault } from '../../runtime/fault.ts';

/** Longest certificate or key that is looked at, in characters or bytes. */
const longest = 65_536;

/** What an extension proves itself by, in PEM. */
export interface ExtensionCredentials {
  readonly certificate?: string;
  /** Any certificate of this key is taken, too. */
  readonly publicKey?: string;
}

/** The certificate in PEM. Throws InvalidArgument. */
export function certificatePem(given: string | Uint8Array): string {
  try {
    if (given.length > longest) throw new Error('too long');
    return new X509Certificate(given).toString();
  } catch (cause) {
    throw fault('InvalidArgument', { invalidProperty: 'certificatePem' }, 'That is no certificate.', { cause });
  }
}

/** The public key in PEM. Throws InvalidArgument. */
export function publicKeyPem(given: string): string {
  try {
    // A private key has a public one, but nobody should hand it out.
    if (given.length > longest || given.includes('PRIVATE')) throw new Error('no public key');
    return spki(createPublicKey(given)).toString();
  } catch (cause) {
    throw fault('InvalidArgument', { invalidProperty: 'publicKey' }, 'That is no public key in PEM.', { cause });
  }
}

/** True when a certificate, in DER, is exactly the one that was set, or is of the key that was set. */
export function proves({ certificate, publicKey }: ExtensionCredentials, shown: Uint8Array): boolean {
  if (shown.length > longest) return false;
  if (certificate !== undefined && new X509Certificate(certificate).raw.equals(shown)) return true;
  return publicKey !== undefined && keyOf(shown) === publicKey;
}

function keyOf(certificate: Uint8Array): string | undefined {
  try {
    return spki(new X509Certificate(certificate).publicKey);
  } catch {
    return undefined;
  }
}

function spki(key: KeyObject): string {
  return key.export({ type: 'spki', format: 'pem' }).toString();
}
