import { constants, createHash, timingSafeEqual, verify, type X509Certificate } from 'node:crypto';
import { OvfError } from '../errors.ts';
import type { DigestAlgorithm } from '../package/digests/manifest.ts';
import { readCertificate } from './certificate.ts';
import { contentOf, contextTag, type DerElement, derTags, objectIdentifier, readDer, within } from './der.ts';

/** One signer of a CMS SignedData (RFC 5652). */
export interface CmsSigner {
  readonly algorithm: DigestAlgorithm | 'SHA384' | 'MD5';
  readonly certificate: X509Certificate;
  /** `changed`: the signature holds, for other content. */
  readonly result: 'valid' | 'changed' | 'wrong';
}

export interface CmsVerification {
  readonly signers: readonly CmsSigner[];
  /** All certificates that came with it. */
  readonly certificates: readonly X509Certificate[];
}

const oid = {
  signedData: '1.2.840.113549.1.7.2',
  messageDigest: '1.2.840.113549.1.9.4',
  rsaPss: '1.2.840.113549.1.1.10',
  subjectKeyIdentifier: '2.5.29.14',
} as const;

const digests: Readonly<Record<string, CmsSigner['algorithm']>> = {
  '1.2.840.113549.2.5': 'MD5',
  '1.3.14.3.2.26': 'SHA1',
  '2.16.840.1.101.3.4.2.1': 'SHA256',
  '2.16.840.1.101.3.4.2.2': 'SHA384',
  '2.16.840.1.101.3.4.2.3': 'SHA512',
};

/**
 * Verifies a CMS SignedData over `content`, which may be within it, with the certificates in it and those given. Says
 * nothing of trust. Throws `certificate-invalid` for what is not SignedData, or has a signer without a certificate.
 */
export function verifyCms(
  encoded: Uint8Array,
  content: Uint8Array,
  given: readonly X509Certificate[] = [],
): CmsVerification {
  const [info] = readDer(encoded);
  const [type, wrapped] = within(info, derTags.sequence);
  if (objectIdentifier(type) !== oid.signedData) refuse('the CMS is not signed data');
  const parts = within(within(wrapped, contextTag(0))[0], derTags.sequence);
  // version, digestAlgorithms, encapContentInfo, then what is optional, then signerInfos.
  const attached = within(parts[2], derTags.sequence)[1];
  const signed = attached === undefined ? content : octetsOf(within(attached, contextTag(0))[0]);
  const same = Buffer.compare(signed, content) === 0;
  const certificates = [...certificatesOf(parts.find(({ tag }) => tag === contextTag(0))), ...given];
  const signers = within(parts.at(-1), derTags.set).map((element): CmsSigner => {
    const signer = verifySigner(element, signed, certificates);
    return signer.result === 'valid' && !same ? { ...signer, result: 'changed' } : signer;
  });
  if (signers.length === 0) refuse('the CMS has no signer');
  return { signers, certificates };
}

function refuse(detail: string): never {
  throw new OvfError('certificate-invalid', detail);
}

/** An OCTET STRING in one piece, or in those that a streaming writer cuts it into. */
function octetsOf(element: DerElement | undefined): Uint8Array {
  if (element?.tag !== (derTags.octetString | 0x20)) return contentOf(element, derTags.octetString);
  return Buffer.concat(readDer(element.content).map((part) => contentOf(part, derTags.octetString)));
}

function certificatesOf(set: DerElement | undefined): X509Certificate[] {
  if (set === undefined) return [];
  return readDer(set.content)
    .filter(({ tag }) => tag === derTags.sequence)
    .map(({ encoded }) => readCertificate(encoded));
}

function verifySigner(element: DerElement, content: Uint8Array, certificates: readonly X509Certificate[]): CmsSigner {
  const parts = within(element, derTags.sequence);
  const certificate = certificates.find((one) => isNamedBy(one, parts[1])) ?? refuse('the signer has no certificate');
  const algorithm = digestOf(parts[2]);
  const attributes = parts[3]?.tag === contextTag(0) ? parts[3] : undefined;
  const [method, signature] = parts.slice(attributes === undefined ? 3 : 4);
  const name = algorithm.toLowerCase();
  let signed = content;
  let same = true;
  if (attributes !== undefined) {
    const said = messageDigestOf(attributes);
    const actual = createHash(name).update(content).digest();
    same = said.length === actual.length && timingSafeEqual(said, actual);
    // The signature is over the attributes as a SET, not as the [0] that they stand as (RFC 5652 5.4).
    signed = Buffer.from(attributes.encoded);
    signed[0] = derTags.set;
  }
  const holds = holdsFor(name, signed, certificate, method, contentOf(signature, derTags.octetString));
  return { algorithm, certificate, result: holds ? (same ? 'valid' : 'changed') : 'wrong' };
}

function holdsFor(
  digest: string,
  signed: Uint8Array,
  certificate: X509Certificate,
  method: DerElement | undefined,
  signature: Uint8Array,
): boolean {
  const pss = objectIdentifier(within(method, derTags.sequence)[0]) === oid.rsaPss;
  const key = certificate.publicKey;
  const padding = pss ? { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_AUTO } : {};
  try {
    return verify(digest, signed, { key, ...padding }, signature);
  } catch {
    return false;
  }
}

function digestOf(element: DerElement | undefined): CmsSigner['algorithm'] {
  const name = objectIdentifier(within(element, derTags.sequence)[0]);
  return digests[name] ?? refuse(`the digest algorithm ${name} is not known`);
}

function messageDigestOf(attributes: DerElement): Uint8Array {
  for (const attribute of readDer(attributes.content)) {
    const [name, values] = within(attribute, derTags.sequence);
    if (objectIdentifier(name) === oid.messageDigest) {
      return contentOf(within(values, derTags.set)[0], derTags.octetString);
    }
  }
  return refuse('the signer says no digest');
}

/** Whether a signer's identifier (issuer and serial number, or key identifier) is that of a certificate. */
function isNamedBy(certificate: X509Certificate, identifier: DerElement | undefined): boolean {
  const [toBeSigned] = within(readDer(certificate.raw)[0], derTags.sequence);
  const fields = within(toBeSigned, derTags.sequence);
  const first = fields[0]?.tag === contextTag(0) ? 1 : 0;
  if (identifier?.tag === derTags.sequence) {
    const [issuer, serial] = within(identifier, derTags.sequence);
    return equal(issuer?.encoded, fields[first + 2]?.encoded) && equal(serial?.encoded, fields[first]?.encoded);
  }
  // [0] IMPLICIT OCTET STRING.
  if (identifier?.tag !== 0x80) return refuse('the signer is not named');
  const extensions = fields.find(({ tag }) => tag === contextTag(3));
  if (extensions === undefined) return false;
  for (const extension of within(within(extensions, contextTag(3))[0], derTags.sequence)) {
    const values = within(extension, derTags.sequence);
    if (objectIdentifier(values[0]) !== oid.subjectKeyIdentifier) continue;
    const [key] = readDer(contentOf(values.at(-1), derTags.octetString));
    return equal(contentOf(key, derTags.octetString), identifier.content);
  }
  return false;
}

function equal(one: Uint8Array | undefined, other: Uint8Array | undefined): boolean {
  return one !== undefined && other !== undefined && Buffer.compare(one, other) === 0;
}
