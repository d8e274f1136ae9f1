import { webcrypto } from 'node:crypto';
import { isIP } from 'node:net';

export interface KeyAndCertificate {
  /** PEM. */
  readonly key: string;
  /** PEM. */
  readonly certificate: string;
}

const day = 86_400_000;
const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;

/** Loaded when a certificate has to be made, which is once a year: it costs more than the rest of a start. */
async function library() {
  await import('reflect-metadata');
  return import('@peculiar/x509');
}

/** A certificate authority of one server: EC P-256, ten years, able to sign servers only. */
export async function makeAuthority(name: string, now = new Date()): Promise<KeyAndCertificate> {
  return selfSigned(name, now, async (x509, publicKey) => [
    new x509.BasicConstraintsExtension(true, 0, true),
    new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
    await x509.SubjectKeyIdentifierExtension.create(publicKey),
  ]);
}

/** A certificate that signs itself, for a client to be known by: EC P-256, ten years. */
export async function makeClientCertificate(name: string, now = new Date()): Promise<KeyAndCertificate> {
  return selfSigned(name, now, async (x509) => [
    new x509.BasicConstraintsExtension(false, undefined, true),
    new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
    new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.clientAuth]),
  ]);
}

/** A server's certificate: EC P-256, for host names and IP addresses, 397 days as browsers accept at most. */
export async function makeServerCertificate(
  authority: KeyAndCertificate,
  names: readonly string[],
  now = new Date(),
): Promise<KeyAndCertificate> {
  const x509 = await library();
  const issuer = new x509.X509Certificate(authority.certificate);
  const der = Buffer.from(authority.key.replace(/-----[^-]+-----|\s/g, ''), 'base64');
  const signingKey = await webcrypto.subtle.importKey('pkcs8', der, algorithm, false, ['sign']);
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.create({
    subject: `CN=${escapeName(names[0] ?? 'localhost')}`,
    issuer: issuer.subject,
    publicKey: keys.publicKey,
    signingKey,
    signingAlgorithm: algorithm,
    notBefore: new Date(now.getTime() - day),
    notAfter: new Date(now.getTime() + 396 * day),
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
      new x509.SubjectAlternativeNameExtension(
        names.map((name) => ({ type: isIP(name) === 0 ? 'dns' : 'ip', value: name })),
      ),
    ],
  });
  return { key: await pemOf(keys.privateKey), certificate: pemText(certificate.toString('pem')) };
}

type X509 = Awaited<ReturnType<typeof library>>;

async function selfSigned(
  name: string,
  now: Date,
  extensions: (x509: X509, publicKey: webcrypto.CryptoKey) => Promise<InstanceType<X509['Extension']>[]>,
): Promise<KeyAndCertificate> {
  const x509 = await library();
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: `CN=${escapeName(name)}`,
    keys,
    signingAlgorithm: algorithm,
    notBefore: new Date(now.getTime() - day),
    notAfter: new Date(now.getTime() + 3650 * day),
    extensions: await extensions(x509, keys.publicKey),
  });
  return { key: await pemOf(keys.privateKey), certificate: pemText(certificate.toString('pem')) };
}

/** One common name, of 64 characters at most (RFC 5280, upper bounds), with what RFC 4514 gives a meaning escaped. */
function escapeName(commonName: string): string {
  return commonName.slice(0, 64).replace(/[",+;<>=\\#]/g, (character) => `\\${character}`);
}

async function pemOf(key: webcrypto.CryptoKey): Promise<string> {
  const text = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', key)).toString('base64');
  return `-----BEGIN PRIVATE KEY-----\n${(text.match(/.{1,64}/g) ?? []).join('\n')}\n-----END PRIVATE KEY-----\n`;
}

/** Ends with a line feed, so that certificates can be put one after another. */
function pemText(pem: string): string {
  return `${pem.replaceAll('\r\n', '\n').trimEnd()}\n`;
}
