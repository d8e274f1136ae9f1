import { dirname } from 'node:path';
import { resizeDisk } from '@hypostyle/vmdk';
import type { DatastoreRoot } from '../files/datastore-root.ts';
import { diskFault } from './disk-faults.ts';

/**
 * Gives a flat disk more capacity, in place; `path` is that of its descriptor, absolute. Cut off in the middle, the
 * same call finishes it. A running engine has to be told. Throws the faults of files.
 */
export async function growMachineDisk(options: {
  readonly root: DatastoreRoot;
  readonly path: string;
  readonly capacityBytes: number;
  readonly signal?: AbortSignal;
}): Promise<void> {
  const { root, path, capacityBytes, signal } = options;
  try {
    await resizeDisk({
      path,
      virtualBytes: capacityBytes,
      childFolders: [dirname(path)],
      allowOutside: ({ path: outside }) => outside.startsWith(`${root.directory}/`),
      ...(signal === undefined ? {} : { signal }),
    });
  } catch (error) {
    if (signal?.aborted) throw signal.reason;
    throw diskFault(error, root, path.slice(root.directory.length + 1));
  }
}
