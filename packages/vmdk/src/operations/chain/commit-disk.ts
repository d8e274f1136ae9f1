import { readRecord } from '../../disk/operation-record.ts';
import { refuseChildren } from './children.ts';
import { type MergeOptions, mergeIntoParent } from './merge-into-parent.ts';

export interface CommitOptions extends MergeOptions {
  /** Disk whose own data goes into its parent. It has no child, and its parent no other. */
  readonly path: string;
}

/**
 * Merges the last disk of a chain into its parent and removes it; gives the parent's path, which then holds its
 * content under a new CID. The parent's other children are refused first (`has-children`), those that are not known
 * find their parent changed. Cut off or aborted in the middle, the chain still reads the same, and the same call
 * finishes it.
 */
export async function commitDisk(options: CommitOptions): Promise<string> {
  const { path } = options;
  if ((await readRecord(path)) === undefined) await refuseChildren(path, options);
  return mergeIntoParent(path, [], options);
}
