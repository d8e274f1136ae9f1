import type { X509Certificate } from 'node:crypto';
import { OvfError, type OvfLocation } from '../errors.ts';
import { type DigestAlgorithm, parseManifest } from '../package/digests/manifest.ts';
import { readCertificate } from './certificate.ts';

/** What a `.cert` file holds (DSP0243 5.1), and the CMS form that newer tools write beside it or in its place. */
export interface CertificateFile {
  /** The signature of the manifest: `SHA256(package.mf)= hex`. */
  readonly signed?: {
    readonly algorithm: DigestAlgorithm;
    /** Name of the manifest. */
    readonly file: string;
    readonly signature: Uint8Array;
  };
  /** The signer's certificate first, as a rule, then those that lead to its root. */
  readonly certificates: readonly X509Certificate[];
  /** A detached CMS SignedData of the manifest, DER. */
  readonly cms?: Uint8Array;
}

const maxLength = 1024 * 1024;
const maxCertificates = 32;
const digestLine = /^\s*(SHA(?:2-(?=256|512)|-)?(?:1|256|512))\s*\((.*)\)\s*=\s*([0-9a-f\s]*)$/i;
const begin = /^-----BEGIN ([A-Z0-9 ]+)-----\s*$/;

/** Reads a `.cert` file. Throws `certificate-invalid`. */
export function parseCertificateFile(source: Uint8Array, fileName?: string): CertificateFile {
  const refuse = (detail: string, line?: number): never => {
    const location: OvfLocation = { file: fileName, line };
    throw new OvfError('certificate-invalid', detail, location);
  };
  if (source.length > maxLength) refuse(`the file is longer than ${maxLength} bytes`);
  const lines = new TextDecoder('utf-8').decode(source).split(/\r\n|\n|\r/);
  let signed: CertificateFile['signed'];
  let cms: Uint8Array | undefined;
  const certificates: X509Certificate[] = [];
  for (let index = 0; index < lines.length; index += 1) {
    const line = lines[index]!;
    const number = index + 1;
    const digest = digestLine.exec(line);
    if (digest !== null) {
      if (signed !== undefined) refuse('there is a second signature', number);
      const hex = digest[3]!.replace(/\s+/g, '');
      if (hex === '' || hex.length % 2 !== 0) refuse('the signature is not hexadecimal', number);
      // The same names as in a manifest, with a digest of its own length in place of the signature.
      const digits = { 1: 40, 2: 64, 5: 128 }[/(?:1|256|512)$/.exec(digest[1]!)![0]![0]!] ?? 0;
      const [entry] = parseManifest(`${digest[1]}(${digest[2]})= ${'0'.repeat(digits)}`, fileName).entries;
      signed = { algorithm: entry!.algorithm, file: entry!.file, signature: Buffer.from(hex, 'hex') };
      continue;
    }
    const [, label] = begin.exec(line) ?? [];
    if (label === undefined) continue;
    const end = lines.findIndex((one, at) => at > index && one.trim() === `-----END ${label}-----`);
    if (end === -1) refuse(`the ${label} does not end`, number);
    const encoded = lines
      .slice(index + 1, end)
      .join('')
      .replace(/\s+/g, '');
    if (!/^[A-Za-z0-9+/]+={0,2}$/.test(encoded)) refuse(`the ${label} is not base64`, number);
    const bytes = Buffer.from(encoded, 'base64');
    if (label === 'CMS' || label === 'PKCS7') {
      if (cms !== undefined) refuse(`there is a second ${label}`, number);
      cms = bytes;
    } else if (/CERTIFICATE$/.test(label) && label !== 'ATTRIBUTE CERTIFICATE') {
      if (certificates.length === maxCertificates)
        refuse(`there are more than ${maxCertificates} certificates`, number);
      certificates.push(readCertificate(bytes, { file: fileName, line: number }));
    }
    index = end;
  }
  if (signed === undefined && cms === undefined) refuse('there is no signature in the file');
  if (cms === undefined && certificates.length === 0) refuse('there is no certificate in the file');
  return { certificates, ...(signed === undefined ? {} : { signed }), ...(cms === undefined ? {} : { cms }) };
}
