import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';

const folder = new URL('../../fixtures/signatures/', import.meta.url);

/** A file of the signatures made for tests. */
export function signatureFixture(name: string): Buffer {
  return readFileSync(new URL(name, folder));
}

/** Certificates in one PEM text. */
export function pemOf(...names: readonly string[]): string {
  return names.map((name) => signatureFixture(`${name}.pem`).toString('utf8')).join('');
}

export function certificateOf(name: string): X509Certificate {
  return new X509Certificate(signatureFixture(`${name}.pem`));
}
