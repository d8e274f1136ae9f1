import { createHash, randomBytes } from 'node:crypto';

/** A secret of 256 random bits, in hexadecimal. */
export function randomSecret(): string {
  return randomBytes(32).toString('hex');
}

/** What is kept of a secret: its SHA-256. Finding a secret by its hash tells nothing by how long it takes. */
export function secretHash(secret: string): string {
  return createHash('sha256').update(secret).digest('base64');
}
