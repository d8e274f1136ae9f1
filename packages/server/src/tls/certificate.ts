import { createHash, createPublicKey, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { isIP, isIPv4 } from 'node:net';
import {
  bitString,
  integer,
  objectIdentifier,
  octetString,
  sequence,
  set,
  tagged,
  time,
  utf8String,
  yes,
} from './der.ts';

export interface KeyAndCertificate {
  /** PEM. */
  readonly key: string;
  /** PEM. */
  readonly certificate: string;
}

interface Issuer {
  readonly name: string;
  readonly key: KeyObject;
}

interface CertificateRequest {
  readonly name: string;
  readonly subjectKey: KeyObject;
  readonly issuer: Issuer;
  readonly notBefore: Date;
  readonly notAfter: Date;
  readonly extensions: readonly Buffer[];
}

const day = 86_400_000;

/** A certificate authority of one server: EC P-256, ten years, able to sign servers only. */
export function makeAuthority(name: string, now = new Date()): KeyAndCertificate {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const certificate = makeCertificate({
    name,
    subjectKey: publicKey,
    issuer: { name, key: privateKey },
    notBefore: new Date(now.getTime() - day),
    notAfter: new Date(now.getTime() + 3650 * day),
    extensions: [
      // CA, with no other authority below it.
      extension('2.5.29.19', sequence(yes, integer(Buffer.from([0]))), true),
      // keyCertSign, cRLSign
      extension('2.5.29.15', bitString(Buffer.from([0b0000_0110]), 1), true),
      extension('2.5.29.14', octetString(keyIdentifier(publicKey))),
    ],
  });
  return { key: pem(privateKey), certificate };
}

/** A server's certificate: EC P-256, for host names and IP addresses, 397 days as browsers accept at most. */
export function makeServerCertificate(
  authority: { readonly name: string; readonly key: KeyObject },
  names: readonly string[],
  now = new Date(),
): KeyAndCertificate {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const certificate = makeCertificate({
    name: names[0] ?? 'localhost',
    subjectKey: publicKey,
    issuer: authority,
    notBefore: new Date(now.getTime() - day),
    notAfter: new Date(now.getTime() + 396 * day),
    extensions: [
      extension('2.5.29.19', sequence(), true),
      // digitalSignature
      extension('2.5.29.15', bitString(Buffer.from([0b1000_0000]), 7), true),
      // serverAuth
      extension('2.5.29.37', sequence(objectIdentifier('1.3.6.1.5.5.7.3.1'))),
      extension('2.5.29.14', octetString(keyIdentifier(publicKey))),
      extension('2.5.29.35', sequence(tagged(0x80, keyIdentifier(createPublicKey(authority.key))))),
      extension('2.5.29.17', sequence(...names.map(generalName))),
    ],
  });
  return { key: pem(privateKey), certificate };
}

/** RFC 5280, 4.1. */
function makeCertificate(request: CertificateRequest): string {
  const { name, subjectKey, issuer, notBefore, notAfter, extensions } = request;
  const ecdsaWithSha256 = sequence(objectIdentifier('1.2.840.10045.4.3.2'));
  const version3 = tagged(0xa0, integer(Buffer.from([2])));
  // Positive, 127 random bits.
  const serial = randomBytes(16);
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40;
  const body = sequence(
    version3,
    integer(serial),
    ecdsaWithSha256,
    distinguishedName(issuer.name),
    sequence(time(notBefore), time(notAfter)),
    distinguishedName(name),
    subjectKey.export({ type: 'spki', format: 'der' }),
    tagged(0xa3, sequence(...extensions)),
  );
  const certificate = sequence(body, ecdsaWithSha256, bitString(sign('sha256', body, issuer.key)));
  const lines = certificate.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}

function extension(identifier: string, value: Buffer, critical = false): Buffer {
  return sequence(objectIdentifier(identifier), ...(critical ? [yes] : []), octetString(value));
}

/** One common name, of 64 characters at most (RFC 5280, upper bounds). */
function distinguishedName(commonName: string): Buffer {
  return sequence(set(sequence(objectIdentifier('2.5.4.3'), utf8String(commonName.slice(0, 64)))));
}

function generalName(name: string): Buffer {
  return isIP(name) === 0 ? tagged(0x82, Buffer.from(name)) : tagged(0x87, addressBytes(name));
}

function addressBytes(address: string): Buffer {
  if (isIPv4(address)) return Buffer.from(address.split('.').map(Number));
  const groupsOf = (part: string) => (part === '' ? [] : part.split(':'));
  const spelled = address.replace(/\d+\.\d+\.\d+\.\d+$/, (v4) => {
    const [a = 0, b = 0, c = 0, d = 0] = v4.split('.').map(Number);
    return `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
  });
  const [head = '', tail] = spelled.split('::');
  const before = groupsOf(head);
  const after = tail === undefined ? [] : groupsOf(tail);
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => '0');
  const bytes = Buffer.alloc(16);
  [...before, ...zeros, ...after].forEach((group, index) => {
    bytes.writeUInt16BE(Number.parseInt(group, 16), index * 2);
  });
  return bytes;
}

/** SHA-1 of the public key's bits (RFC 5280, 4.2.1.2), which end the structure. */
function keyIdentifier(publicKey: KeyObject): Buffer {
  const structure = publicKey.export({ type: 'spki', format: 'der' });
  // An uncompressed point of P-256: 65 bytes.
  return createHash('sha1').update(structure.subarray(-65)).digest();
}

function pem(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }) as string;
}
