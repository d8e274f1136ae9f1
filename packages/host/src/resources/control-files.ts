import { mkdir, readdir, readFile, rmdir, writeFile } from 'node:fs/promises';

/** The kernel's files of control groups, as far as they are needed. */
export interface ControlFiles {
  read(path: string): Promise<string>;
  /** Writes to a file that is there. */
  write(path: string, text: string): Promise<void>;
  /** Makes a group; one that is there is no error. */
  make(path: string): Promise<void>;
  /** Removes a group without processes and without groups. */
  remove(path: string): Promise<void>;
  /** Names of the groups in a group. */
  groups(path: string): Promise<string[]>;
}

export const kernelControlFiles: ControlFiles = {
  read: (path) => readFile(path, 'utf8'),
  write: (path, text) => writeFile(path, text, { flag: 'r+' }),
  make: async (path) => {
    await mkdir(path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
  },
  remove: (path) => rmdir(path),
  groups: async (path) =>
    (await readdir(path, { withFileTypes: true })).flatMap((entry) => (entry.isDirectory() ? [entry.name] : [])),
};
