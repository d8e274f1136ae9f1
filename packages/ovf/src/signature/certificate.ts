import { X509Certificate } from 'node:crypto';
import { OvfError, type OvfLocation } from '../errors.ts';

const block = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g;

/** A certificate in DER or PEM whose key and times can be read, too. Throws `certificate-invalid`. */
export function readCertificate(source: string | Uint8Array, location: OvfLocation = {}): X509Certificate {
  try {
    const certificate = new X509Certificate(source);
    // OpenSSL reads some parts only when they are asked for.
    const times = [certificate.validFromDate, certificate.validToDate];
    if (certificate.publicKey.type === 'public' && times.every((time) => !Number.isNaN(time.getTime()))) {
      return certificate;
    }
  } catch (cause) {
    throw new OvfError('certificate-invalid', 'a certificate cannot be read', location, { cause });
  }
  throw new OvfError('certificate-invalid', 'a certificate has no readable times', location);
}

/** The certificates in a PEM text. Throws `certificate-invalid`, also when there is none. */
export function readCertificates(source: string | Uint8Array): X509Certificate[] {
  const text = typeof source === 'string' ? source : new TextDecoder('utf-8').decode(source);
  const found = text.match(block) ?? [];
  if (found.length === 0) throw new OvfError('certificate-invalid', 'there is no certificate in PEM');
  return found.map((pem) => readCertificate(pem));
}
