import { randomInt } from 'node:crypto';
import { readIfThere, writePrivateFile } from './private-file.ts';

/** Without the characters that people mistake for one another. */
const alphabet = 'ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789';
/** 24 of 57 characters: 140 bits. */
const length = 24;

/** The administrator's password: the file's first line, or a new one that is written there. */
export async function administratorPassword(path: string): Promise<string> {
  const written = (await readIfThere(path))?.split(/\r?\n/, 1)[0];
  if (written) return written;
  const password = Array.from({ length }, () => alphabet[randomInt(alphabet.length)]).join('');
  await writePrivateFile(path, `${password}\n`);
  return password;
}
