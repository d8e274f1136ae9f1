import { randomUUID } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Disks without layers that need the tools of an engine. */
export const noEngine = {
  images: {
    exportDisk: async () => {
      throw new Error('a disk that needs an engine');
    },
  },
  socketPath: () => join(tmpdir(), randomUUID()),
};
