import { lstat } from 'node:fs/promises';
import { systemCode } from '../errors.ts';

/** Whether there is anything of that name; links are not followed. */
export async function isThere(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return false;
    throw error;
  }
}
