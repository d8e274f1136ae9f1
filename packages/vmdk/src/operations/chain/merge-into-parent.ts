import { resolve } from 'node:path';
import { newContentId, withContentId } from '../../descriptor/content-id.ts';
import { editDescriptor } from '../../descriptor/descriptor-edit.ts';
import { LayeredDisk } from '../../disk/layered-disk.ts';
import { openLayer, openLayers, parentPathOf } from '../../disk/open-disk.ts';
import { type CommitRecord, readRecord, removeRecord, unfinished, writeRecord } from '../../disk/operation-record.ts';
import { VmdkError } from '../../errors.ts';
import { changeDescriptor, findDescriptor } from '../files/disk-descriptor.ts';
import { diskFiles, refuseUnclean, removeFiles, settleUnclean } from '../files/disk-files.ts';
import { type OperationOptions, openingOptions } from '../operation-options.ts';
import { growForChild, refuseFixed } from '../size/resize-disk.ts';
import { type ChildrenOptions, refuseChildren } from './children.ts';
import { hintStyle, namesParent, parentHint, withParent } from './parent-link.ts';

const pieceBytes = 2 ** 20;

export interface MergeOptions extends OperationOptions, ChildrenOptions {}

/**
 * Writes what a disk stores itself into its parent, hands its children over to the parent and removes it. Gives the
 * parent's path. All the while the chain reads the same, for the disk hides what changes below it; the parent has its
 * new CID before the first byte. A record beside the disk lets a later call go on where this one was cut off.
 */
export async function mergeIntoParent(
  path: string,
  children: readonly string[],
  options: MergeOptions,
): Promise<string> {
  const found = await readRecord(path);
  if (found !== undefined && found.operation !== 'commit') throw unfinished(path, found);
  let record = found ?? (await begin(path, children, options));
  if (record.phase === 'begun') {
    await renewParent(path, record);
    if (found) await settleUnclean(record.parent, openingOptions(options));
    await growParent(path, record, options);
    await copyDown(path, record.parent, options);
    record = { ...record, phase: 'copied' };
    await writeRecord(path, record);
  }
  for (const child of record.children) await handOver(child, path, record);
  await removeFiles(path, record.files, openingOptions(options));
  await removeRecord(path);
  return record.parent;
}

async function begin(path: string, children: readonly string[], options: MergeOptions): Promise<CommitRecord> {
  const opening = openingOptions(options);
  const layers = await openLayers(path, opening);
  await Promise.all(layers.map(({ layer }) => layer.close()));
  const [top, parent] = layers;
  if (!parent?.descriptor) throw new VmdkError('parent-missing', { file: path, reason: 'there is nothing below it' });
  if (top.layer.bytes < parent.layer.bytes) {
    const reason = `it has ${top.layer.bytes} bytes, its parent ${parent.layer.bytes}`;
    throw new VmdkError('size-invalid', { file: path, reason });
  }
  if (top.layer.bytes > parent.layer.bytes) await refuseFixed(parent.path);
  await refuseUnclean(path, opening);
  await refuseChildren(parent.path, { ...options, except: [path] });
  options.signal?.throwIfAborted();
  const record: CommitRecord = {
    operation: 'commit',
    phase: 'begun',
    parent: resolve(parent.path),
    oldContentId: parent.descriptor.contentId,
    newContentId: newContentId(),
    children: children.map((child) => resolve(child)),
    files: await diskFiles(path, opening),
  };
  await writeRecord(path, record);
  try {
    // Fails now, not halfway, where the parent's kind or rights forbid writing.
    await (await openLayer(parent.path, { ...opening, writable: true })).layer.close();
  } catch (error) {
    await removeRecord(path);
    throw error;
  }
  return record;
}

/** Child first: until the parent follows, the record tells readers that both belong together. */
async function renewParent(path: string, record: CommitRecord): Promise<void> {
  await changeDescriptor(path, (descriptor) => editDescriptor(descriptor, { parentContentId: record.newContentId }));
  await changeDescriptor(record.parent, (descriptor) =>
    descriptor.contentId === record.newContentId ? descriptor : withContentId(descriptor, record.newContentId),
  );
}

/** A disk may have grown over its parent. */
async function growParent(path: string, record: CommitRecord, options: MergeOptions): Promise<void> {
  const { layer } = await openLayer(path, openingOptions(options));
  const virtualBytes = layer.bytes;
  await layer.close();
  await growForChild({ ...openingOptions(options), path: record.parent, virtualBytes }, record.newContentId);
}

async function copyDown(path: string, parentPath: string, options: MergeOptions): Promise<void> {
  const opening = openingOptions(options);
  const top = await openLayer(path, opening);
  const source = new LayeredDisk({ path, layers: [top.layer], writable: false });
  try {
    const recorded = parentPathOf(top, opening);
    if (recorded === undefined || resolve(recorded) !== parentPath) {
      throw new VmdkError('parent-missing', { file: path, reason: `${parentPath} is no longer its parent` });
    }
    const [parent, ...below] = await openLayers(parentPath, { ...opening, writable: true });
    const layers = [parent.layer, ...below.map(({ layer }) => layer)] as const;
    const target = new LayeredDisk({ path: parentPath, layers, writable: true });
    try {
      await copyOwn(source, target, options);
      await target.flush();
    } finally {
      await target.close();
    }
  } finally {
    await source.close();
  }
}

/** Copies all that a disk without its parents says, zeros too, for they hide what the parent holds. */
async function copyOwn(source: LayeredDisk, target: LayeredDisk, options: OperationOptions): Promise<void> {
  const totalBytes = source.virtualBytes;
  const { signal, onProgress } = options;
  const zeros = Buffer.alloc(pieceBytes);
  for await (const { offset, length, state } of source.map(signal ? { signal } : {})) {
    for (let done = 0; state !== 'unallocated' && done < length; ) {
      signal?.throwIfAborted();
      const at = offset + done;
      const bytes = Math.min(length - done, pieceBytes - (at % pieceBytes));
      await target.write(at, state === 'data' ? await source.read(at, bytes) : zeros.subarray(0, bytes));
      done += bytes;
      onProgress?.({ doneBytes: at + bytes, totalBytes });
    }
  }
  signal?.throwIfAborted();
  onProgress?.({ doneBytes: totalBytes, totalBytes });
}

/** Gives a child of the merged disk its parent; one that was handed over already, or left, stays as it is. */
async function handOver(child: string, path: string, record: CommitRecord): Promise<void> {
  const { descriptor } = await findDescriptor(child);
  if (!namesParent(descriptor, child, path)) return;
  const fileNameHint = parentHint(child, record.parent, hintStyle(descriptor));
  await changeDescriptor(child, (now) => withParent(now, { contentId: record.newContentId, fileNameHint }));
}
