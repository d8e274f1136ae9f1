import { openDisk } from '../../disk/open-disk.ts';
import { readRecord, unfinished } from '../../disk/operation-record.ts';
import { type ChildrenOptions, refuseChildren } from '../chain/children.ts';
import { findDescriptor } from '../files/disk-descriptor.ts';
import { refuseUnclean } from '../files/disk-files.ts';
import { type OperationOptions, openingOptions } from '../operation-options.ts';

const pieceBytes = 2 ** 20;
/** Bytes whose room is given back by one call of the file system. */
const stretchBytes = 2 ** 30;

export interface ZeroOptions extends OperationOptions, ChildrenOptions {
  readonly path: string;
}

/**
 * Makes all of a disk read as zeros; all that it held is lost. A flat disk that takes its room at once keeps it and is
 * written throughout, any other gives its room back. It gets a new CID before the first byte goes. Cut off in the middle
 * part of it is zeros, and the same call finishes it. Throws `has-children`.
 */
export async function zeroDisk(options: ZeroOptions): Promise<void> {
  const { path, signal, onProgress } = options;
  const record = await readRecord(path);
  if (record) throw unfinished(path, record);
  await refuseUnclean(path, openingOptions(options));
  await refuseChildren(path, options);
  const { descriptor } = await findDescriptor(path);
  const thick =
    descriptor.extents.every(({ type }) => type === 'FLAT' || type === 'VMFS') &&
    descriptor.ddb.get('thinProvisioned') !== '1';
  const disk = await openDisk(path, { ...openingOptions(options), writable: true });
  try {
    const zeros = thick ? Buffer.alloc(pieceBytes) : undefined;
    const step = thick ? pieceBytes : stretchBytes;
    for (let at = 0; at < disk.virtualBytes; at += step) {
      signal?.throwIfAborted();
      const length = Math.min(step, disk.virtualBytes - at);
      if (zeros !== undefined) await disk.write(at, zeros.subarray(0, length));
      else await disk.trim?.(at, length);
      onProgress?.({ doneBytes: at + length, totalBytes: disk.virtualBytes });
    }
    await disk.flush();
  } finally {
    await disk.close();
  }
}
