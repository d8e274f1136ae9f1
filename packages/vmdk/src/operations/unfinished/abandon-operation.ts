import { access } from 'node:fs/promises';
import { withContentId } from '../../descriptor/content-id.ts';
import { editDescriptor } from '../../descriptor/descriptor-edit.ts';
import { type CommitRecord, type OperationRecord, readRecord, removeRecord } from '../../disk/operation-record.ts';
import { VmdkError } from '../../errors.ts';
import { changeDescriptor } from '../files/disk-descriptor.ts';
import { settleUnclean } from '../files/disk-files.ts';
import { type OperationOptions, openingOptions } from '../operation-options.ts';

export interface AbandonOptions extends OperationOptions {
  /** The disk that the operation was begun on; its file may be gone. */
  readonly path: string;
  /** Go through with it though something is lost. Default: `operation-pending`, which says what. */
  readonly acceptLoss?: boolean;
}

export interface AbandonedOperation {
  readonly operation: OperationRecord['operation'];
  /** What is not there any more, by file. */
  readonly losses: readonly { readonly file: string; readonly what: string }[];
  /** What stays as it was. */
  readonly kept: readonly string[];
}

/**
 * Gives up an operation that was cut off and cannot be finished, for a file that it needs is gone. What is half done
 * stays as it is, and its disks can be worked on again. Undefined where there is no operation.
 */
export async function abandonOperation({
  path,
  acceptLoss = false,
  ...options
}: AbandonOptions): Promise<AbandonedOperation | undefined> {
  const record = await readRecord(path);
  if (record === undefined) return undefined;
  const abandoned = await weigh(path, record);
  if (abandoned.losses.length > 0 && !acceptLoss) {
    const reason = `giving up its ${record.operation} loses: ${abandoned.losses.map(({ file, what }) => `${what} (${file})`).join('; ')}`;
    throw new VmdkError('operation-pending', { file: path, reason });
  }
  const opening = openingOptions(options);
  const disks = [
    path,
    ...('parent' in record && record.operation === 'commit' ? [record.parent] : []),
    ...childrenOf(record),
  ];
  // Nobody writes them: the mark is of the writer that was cut off.
  for (const disk of disks) if (await isThere(disk)) await settleUnclean(disk, opening);
  if (record.operation === 'commit') await agree(path, record);
  await removeRecord(path);
  return abandoned;
}

async function weigh(path: string, record: OperationRecord): Promise<AbandonedOperation> {
  const { operation } = record;
  const there = await isThere(path);
  switch (record.operation) {
    case 'commit': {
      const parent = await isThere(record.parent);
      const losses = [
        ...(there ? [] : [{ file: path, what: 'what was written to it and is not in its parent yet' }]),
        ...(parent && record.phase === 'begun'
          ? [{ file: record.parent, what: 'what it held by itself: parts of its child are in it' }]
          : []),
        ...(parent ? [] : [{ file: record.parent, what: 'all of it: it is gone' }]),
      ];
      return { operation, losses, kept: there ? [path] : [] };
    }
    case 'consolidate': {
      const lost = there ? [] : [{ file: path, what: 'what its children had not been given yet' }];
      return { operation, losses: lost, kept: [...(there ? [path] : []), ...record.children] };
    }
    case 'rebase':
    case 'resize':
      return there
        ? { operation, losses: [], kept: [path] }
        : { operation, losses: [{ file: path, what: 'all of it: it is gone' }], kept: [] };
  }
}

/** The record said that child and parent belong together while their content ids were being changed. */
async function agree(path: string, { parent, newContentId }: CommitRecord): Promise<void> {
  if (!(await isThere(path)) || !(await isThere(parent))) return;
  await changeDescriptor(path, (now) => editDescriptor(now, { parentContentId: newContentId }));
  await changeDescriptor(parent, (now) => (now.contentId === newContentId ? now : withContentId(now, newContentId)));
}

function childrenOf(record: OperationRecord): readonly string[] {
  return record.operation === 'consolidate' ? record.children : [];
}

function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
