import { open } from 'node:fs/promises';
import type { Writable } from 'node:stream';
import { CliError } from '../errors.ts';

/** Opens a file here to be written from its beginning. Throws `failed` for one that is there, unless `force`. */
export async function newFile(path: string, force: boolean): Promise<Writable> {
  try {
    return (await open(path, force ? 'w' : 'wx')).createWriteStream();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    throw new CliError('failed', `${path} is there already.`, { next: 'Choose another name, or use --force.' });
  }
}
