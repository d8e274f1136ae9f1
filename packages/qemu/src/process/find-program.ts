import { realpath } from 'node:fs/promises';
import { delimiter, join } from 'node:path';

/** Path of a program by its name, as the shell finds it, or by its path; undefined where there is none. */
export async function findProgram(name: string): Promise<string | undefined> {
  const candidates = name.includes('/')
    ? [name]
    : (process.env.PATH ?? '').split(delimiter).map((folder) => join(folder || '.', name));
  for (const candidate of candidates) {
    try {
      return await realpath(candidate);
    } catch {
      // Not in this folder.
    }
  }
  return undefined;
}
