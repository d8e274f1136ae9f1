import { randomBytes, type ScryptOptions, scrypt, timingSafeEqual } from 'node:crypto';

/** A password as it is kept: scrypt of RFC 7914 with its own salt. Salt and hash in base64. */
export interface PasswordHash {
  readonly cost: number;
  readonly salt: string;
  readonly hash: string;
}

const blockSize = 8;
const saltLength = 16;
const hashLength = 32;
/** 2^15: 32 MiB and about 60 ms. */
const defaultCost = 32_768;

export async function hashPassword(password: string, cost = defaultCost): Promise<PasswordHash> {
  const salt = randomBytes(saltLength);
  const hash = await derive(password, salt, cost);
  return { cost, salt: salt.toString('base64'), hash: hash.toString('base64') };
}

/** The hash of no password that anybody knows: random bytes, so that a start does not wait for one to be worked out. */
export function decoyHash(cost = defaultCost): PasswordHash {
  const bytes = (length: number) => randomBytes(length).toString('base64');
  return { cost, salt: bytes(saltLength), hash: bytes(hashLength) };
}

/** Takes as long whether it is right or wrong. */
export async function verifyPassword(password: string, { cost, salt, hash }: PasswordHash): Promise<boolean> {
  return timingSafeEqual(await derive(password, Buffer.from(salt, 'base64'), cost), Buffer.from(hash, 'base64'));
}

async function derive(password: string, salt: Buffer, cost: number): Promise<Buffer> {
  const options: ScryptOptions = { N: cost, r: blockSize, p: 1, maxmem: 256 * cost * blockSize };
  return await new Promise((resolve, reject) => {
    scrypt(password.normalize('NFC'), salt, hashLength, options, (error, key) => {
      if (error === null) resolve(key);
      else reject(error);
    });
  });
}
