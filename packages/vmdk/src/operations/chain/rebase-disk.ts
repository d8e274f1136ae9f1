import { resolve } from 'node:path';
import { LayeredDisk } from '../../disk/layered-disk.ts';
import { type OpenedLayer, openLayer, openLayers } from '../../disk/open-disk.ts';
import { readRecord, removeRecord, unfinished, writeRecord } from '../../disk/operation-record.ts';
import { VmdkError } from '../../errors.ts';
import { changeDescriptor, findDescriptor } from '../files/disk-descriptor.ts';
import { refuseUnclean, settleUnclean } from '../files/disk-files.ts';
import { type OperationOptions, openingOptions } from '../operation-options.ts';
import { type HintStyle, hintStyle, parentHint, withParent } from './parent-link.ts';
import { storeDifferences } from './store-differences.ts';

export interface RebaseOptions extends OperationOptions {
  readonly path: string;
  /** New parent; none: the disk then stands alone. */
  readonly parent?: string;
  /**
   * `safe`: the content stays; what the new parent gives differently is stored first. `unsafe`: only the name and the
   * CID of the parent are written, for a parent that was moved or is known to be the same. Default `safe`.
   */
  readonly mode?: 'safe' | 'unsafe';
  /** How the parent is named. Default: as the old one was. */
  readonly hint?: HintStyle;
}

/**
 * Gives a disk another parent. Its own CID stays, so that its children stay valid. Cut off or aborted in the middle it
 * still has its old parent and content; the same call finishes it. `chain-cycle` when the parent is made on the disk.
 */
export async function rebaseDisk(options: RebaseOptions): Promise<void> {
  const { path, parent } = options;
  const found = await readRecord(path);
  const parentPath = parent === undefined ? undefined : resolve(parent);
  if (found && !(found.operation === 'rebase' && found.parent === parentPath)) throw unfinished(path, found);
  const { descriptor } = await findDescriptor(path);
  const style = options.hint ?? hintStyle(descriptor);
  if (options.mode !== 'unsafe') {
    if (found) await settleUnclean(path, openingOptions(options));
    else await refuseUnclean(path, openingOptions(options));
    await storeWhatDiffers(path, parentPath, found !== undefined, options);
  }
  const contentId = parentPath === undefined ? undefined : (await findDescriptor(parentPath)).descriptor.contentId;
  await changeDescriptor(path, (now) =>
    withParent(
      now,
      parentPath === undefined || contentId === undefined
        ? undefined
        : { contentId, fileNameHint: parentHint(path, parentPath, style) },
    ),
  );
  await removeRecord(path);
}

async function storeWhatDiffers(
  path: string,
  parentPath: string | undefined,
  resumed: boolean,
  options: RebaseOptions,
): Promise<void> {
  const opening = openingOptions(options);
  const opened: OpenedLayer[] = [];
  try {
    const before = await openLayers(path, opening);
    opened.push(...before);
    const after = parentPath === undefined ? [] : await openLayers(parentPath, opening);
    opened.push(...after);
    if (after.some(({ identity }) => identity === before[0].identity)) {
      throw new VmdkError('chain-cycle', { file: path, reason: `${parentPath} is made on it` });
    }
    if (!resumed) {
      await writeRecord(path, { operation: 'rebase', ...(parentPath === undefined ? {} : { parent: parentPath }) });
    }
    const child = await openLayer(path, { ...opening, writable: true }).catch(async (error: unknown) => {
      if (!resumed) await removeRecord(path);
      throw error;
    });
    opened.push(child);
    await storeDifferences({ path, child: child.layer, before: before.slice(1), after }, options);
    await child.layer.flush();
  } finally {
    await closeAll(opened);
  }
}

async function closeAll(opened: readonly OpenedLayer[]): Promise<void> {
  const [first, ...rest] = opened.map(({ layer }) => layer);
  if (first) await new LayeredDisk({ path: first.path, layers: [first, ...rest], writable: false }).close();
}
