import { readRecord } from '../../disk/operation-record.ts';
import { consolidateDisk } from '../chain/consolidate-disk.ts';
import { type MergeOptions, mergeIntoParent } from '../chain/merge-into-parent.ts';
import { rebaseDisk } from '../chain/rebase-disk.ts';
import { resizeDisk } from '../size/resize-disk.ts';

/** Finishes the operation on a disk that was cut off, if there is one; says whether there was. */
export async function finishOperation(path: string, options: MergeOptions = {}): Promise<boolean> {
  const record = await readRecord(path);
  if (record === undefined) return false;
  switch (record.operation) {
    case 'commit':
      await mergeIntoParent(path, [], options);
      break;
    case 'consolidate':
      await consolidateDisk({ ...options, path });
      break;
    case 'rebase':
      await rebaseDisk({ ...options, path, ...(record.parent === undefined ? {} : { parent: record.parent }) });
      break;
    case 'resize':
      await resizeDisk({ ...options, path, virtualBytes: record.virtualBytes });
      break;
  }
  return true;
}
