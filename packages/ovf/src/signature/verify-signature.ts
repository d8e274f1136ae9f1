import { constants, createHash, publicDecrypt, verify, type X509Certificate } from 'node:crypto';
import { OvfError } from '../errors.ts';
import { chainOf, type SignerTrust } from './certificate-chain.ts';
import { type CertificateFile, parseCertificateFile } from './certificate-file.ts';
import { verifyCms } from './cms.ts';
import { contentOf, derTags, readDer, within } from './der.ts';

/**
 * What a signature is worth. `trusted`, `untrusted-issuer` and `self-signed` are good signatures over this very manifest;
 * so are `expired`, `not-yet-valid` (of the signer or an issuer) and `weak-digest`, which policy refuses.
 */
export type SignatureStatus =
  | 'unsigned'
  | 'trusted'
  | 'untrusted-issuer'
  | 'self-signed'
  | 'expired'
  | 'not-yet-valid'
  | 'weak-digest'
  | 'signature-wrong'
  | 'manifest-changed'
  | 'certificate-unreadable';

export interface SignatureVerdict {
  readonly status: SignatureStatus;
  /** One sentence for people. */
  readonly detail: string;
  /** Signer first, then issuers as far as known; empty when there is no signer. */
  readonly certificates: readonly CertificateSummary[];
  /** Digest algorithm of the signature, such as `SHA256`. */
  readonly algorithm?: string;
  /** How far the signer is believed, whatever the status says of time. */
  readonly trust?: SignerTrust;
  /** What is weak, though it was taken: SHA-1, a short key. */
  readonly weaknesses: readonly string[];
}

export interface CertificateSummary {
  /** One line, such as `CN=Example, O=Example Ltd`. */
  readonly subject: string;
  readonly issuer: string;
  readonly serialNumber: string;
  /** ISO 8601. */
  readonly validFrom: string;
  readonly validTo: string;
  /** SHA-256, hexadecimal with colons. */
  readonly fingerprint: string;
}

export interface SignatureOptions {
  /** Certificates that are believed: roots, issuers, or signers themselves; none by default. */
  readonly trusted?: readonly X509Certificate[];
  /** Time at which certificates must be valid; now by default. */
  readonly at?: Date;
  /** Take SHA-1, as packages before 2012 have it; yes by default, with a weakness said. */
  readonly allowWeak?: boolean;
  /** Name of the certificate file in messages. */
  readonly fileName?: string;
}

interface Signer {
  readonly certificate: X509Certificate;
  readonly algorithm: string;
  readonly result: 'valid' | 'changed' | 'wrong';
}

/**
 * Verifies the signature of a manifest (DSP0243 5.1), in the form of the specification, as CMS, or both. Never throws for
 * what the files hold: the verdict says it.
 */
export function verifySignature(
  manifest: Uint8Array | undefined,
  certificateFile: Uint8Array | undefined,
  options: SignatureOptions = {},
): SignatureVerdict {
  if (certificateFile === undefined) return without('unsigned', 'The package is not signed.');
  if (manifest === undefined)
    return without('signature-wrong', 'There is a certificate, but no manifest that it signs.');
  try {
    const file = parseCertificateFile(certificateFile, options.fileName);
    const { signers, given } = signersOf(file, manifest);
    // Where there are several, the worst one counts.
    const verdicts = signers.map((signer) => judge(signer, given, options));
    const rank = (verdict: SignatureVerdict) => severity.indexOf(verdict.status);
    return verdicts.reduce((worst, one) => (rank(one) > rank(worst) ? one : worst));
  } catch (error) {
    if (!(error instanceof OvfError)) throw error;
    return without('certificate-unreadable', `The certificate cannot be read: ${error.message}.`);
  }
}

/** From the best to the worst. */
const severity: readonly SignatureStatus[] = [
  'trusted',
  'self-signed',
  'untrusted-issuer',
  'weak-digest',
  'not-yet-valid',
  'expired',
  'manifest-changed',
  'signature-wrong',
];

function without(status: SignatureStatus, detail: string): SignatureVerdict {
  return { status, detail, certificates: [], weaknesses: [] };
}

function signersOf(file: CertificateFile, manifest: Uint8Array) {
  const signers: Signer[] = [];
  let given = file.certificates;
  if (file.signed !== undefined && file.certificates.length > 0) signers.push(plainSigner(file, manifest));
  if (file.cms !== undefined) {
    const cms = verifyCms(file.cms, manifest, file.certificates);
    given = cms.certificates;
    signers.push(...cms.signers);
  }
  return { signers, given };
}

/** The signer of the specification's form: the one of the certificates whose key the signature was made with. */
function plainSigner({ signed, certificates }: CertificateFile, manifest: Uint8Array): Signer {
  const { algorithm, signature } = signed!;
  const results = certificates.map((certificate) => ({
    certificate,
    algorithm,
    result: signatureResult(certificate, algorithm.toLowerCase(), manifest, signature),
  }));
  return (
    results.find(({ result }) => result === 'valid') ??
    results.find(({ result }) => result === 'changed') ??
    results[0]!
  );
}

function signatureResult(
  certificate: X509Certificate,
  digest: string,
  manifest: Uint8Array,
  signature: Uint8Array,
): Signer['result'] {
  const key = certificate.publicKey;
  try {
    if (verify(digest, manifest, key, signature)) return 'valid';
    if (key.asymmetricKeyType !== 'rsa') return 'wrong';
    // An RSA signature tells the digest that was signed: when it is one, it was made with this key for other bytes.
    const info = publicDecrypt({ key, padding: constants.RSA_PKCS1_PADDING }, signature);
    const said = contentOf(within(readDer(info)[0], derTags.sequence)[1], derTags.octetString);
    return said.length === createHash(digest).digest().length ? 'changed' : 'wrong';
  } catch {
    return 'wrong';
  }
}

function judge(
  { certificate, algorithm, result }: Signer,
  given: readonly X509Certificate[],
  options: SignatureOptions,
) {
  const { at = new Date(), trusted = [], allowWeak = true } = options;
  const { trust, certificates } = chainOf(certificate, given, trusted);
  const who = summaryOf(certificate).subject;
  const bits = certificate.publicKey.asymmetricKeyDetails?.modulusLength;
  const weak = algorithm === 'SHA1' || algorithm === 'MD5';
  const weaknesses = [
    ...(weak ? [`the signature is by ${algorithm}, which is weak`] : []),
    ...(bits !== undefined && bits < 2048 ? [`the signer's RSA key has only ${bits} bits`] : []),
  ];
  const verdict = (status: SignatureStatus, detail: string): SignatureVerdict => ({
    status,
    detail,
    certificates: certificates.map(summaryOf),
    algorithm,
    trust,
    weaknesses,
  });
  if (result === 'wrong') return verdict('signature-wrong', `The signature is not one of ${who} over this manifest.`);
  if (result === 'changed') {
    return verdict('manifest-changed', `${who} signed another manifest: this one was changed since.`);
  }
  for (const one of certificates) {
    const { subject, validFrom, validTo } = summaryOf(one);
    if (at > one.validToDate) return verdict('expired', `The certificate of ${subject} expired on ${validTo}.`);
    if (at < one.validFromDate) {
      return verdict('not-yet-valid', `The certificate of ${subject} is valid only from ${validFrom} on.`);
    }
  }
  if (weak && !allowWeak) return verdict('weak-digest', `The signature is by ${algorithm}, which is too weak.`);
  if (trust === 'trusted') return verdict('trusted', `Signed by ${who}, who is trusted.`);
  if (trust === 'self-signed') return verdict('self-signed', `Signed by ${who}, for whom nobody vouches but itself.`);
  const last = summaryOf(certificates.at(-1)!);
  return verdict('untrusted-issuer', `Signed by ${who}, by way of ${last.issuer}, who is not trusted.`);
}

function summaryOf(certificate: X509Certificate): CertificateSummary {
  const oneLine = (name: string) => name.split('\n').filter(Boolean).reverse().join(', ');
  return {
    subject: oneLine(certificate.subject ?? ''),
    issuer: oneLine(certificate.issuer ?? ''),
    serialNumber: certificate.serialNumber,
    validFrom: certificate.validFromDate.toISOString(),
    validTo: certificate.validToDate.toISOString(),
    fingerprint: certificate.fingerprint256,
  };
}
