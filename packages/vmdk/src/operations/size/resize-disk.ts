import { dirname, resolve } from 'node:path';
import { descriptorBytes } from '../../descriptor/descriptor.ts';
import { openDisk, openLayers } from '../../disk/open-disk.ts';
import { type ResizeRecord, readRecord, removeRecord, unfinished, writeRecord } from '../../disk/operation-record.ts';
import { VmdkError } from '../../errors.ts';
import { createFlatExtent } from '../../flat/create-flat-extent.ts';
import { capacityInSectors, sectorBytes } from '../../size.ts';
import { writeSparseExtent } from '../../sparse/create-sparse.ts';
import type { SparseHeader } from '../../sparse/sparse-header.ts';
import { sparseLayout } from '../../sparse/sparse-layout.ts';
import { type ChildrenOptions, refuseChildren } from '../chain/children.ts';
import { changeDescriptor, findDescriptor } from '../files/disk-descriptor.ts';
import { extentFiles, refuseUnclean, removeFiles } from '../files/disk-files.ts';
import { type OperationOptions, openingOptions } from '../operation-options.ts';
import { growFlatFile, growSparseFile, lengthOf, setLength, undoGrowth, writeSparseHeader } from './extent-size.ts';
import { resizedDescriptor, resizedExtents } from './resize-plan.ts';

export interface ResizeOptions extends OperationOptions, ChildrenOptions {
  readonly path: string;
  /** New capacity: a multiple of 512. */
  readonly virtualBytes: number;
}

const resizableKinds = ['vmfs', 'monolithicFlat', 'monolithicSparse', 'twoGbMaxExtentFlat', 'twoGbMaxExtentSparse'];

/**
 * Gives a disk another capacity, in place. What is added reads as zeros and takes no room; what is cut off must be
 * zeros (`not-empty` names the first byte that is not). Only the last disk of a chain (`has-children`), of a kind that
 * is written, and not below its parent's capacity. The disk gets a new CID. Cut off in the middle it still has its old
 * capacity or has the new one already; the same call finishes it.
 */
export async function resizeDisk(options: ResizeOptions): Promise<void> {
  await resize(options, async (before) => {
    await refuseChildren(options.path, options);
    await check(before, options);
  });
}

/** Grows a disk that is to take in a larger child, under a CID that was chosen already. Smaller it never gets. */
export async function growForChild(options: ResizeOptions, contentId: number): Promise<void> {
  const record = await readRecord(options.path);
  if (!record && (await capacityOf(options.path)) >= options.virtualBytes) return;
  await resize(options, (before) => check(before, options), contentId);
}

async function resize(
  options: ResizeOptions,
  checkFirst: (before: number) => Promise<void>,
  contentId?: number,
): Promise<void> {
  const { path, virtualBytes } = options;
  capacityInSectors(virtualBytes, path);
  const found = await readRecord(path);
  if (found && !(found.operation === 'resize' && found.virtualBytes === virtualBytes)) throw unfinished(path, found);
  const before = await capacityOf(path);
  if (!found) {
    if (before === virtualBytes) return;
    await checkFirst(before);
  }
  const record = found ?? (await begin(path, before, options));
  if (before !== virtualBytes) {
    const header = before < virtualBytes ? await makeRoom(path, record, options) : await headerOf(path, virtualBytes);
    await changeDescriptor(path, (now) => resizedDescriptor(path, now, virtualBytes, contentId), header);
  }
  await cutOff(path, record, options);
  await removeRecord(path);
}

/** Of a disk in one sparse file the header says it. */
async function capacityOf(path: string): Promise<number> {
  const { descriptor, header } = await findDescriptor(path);
  return header ? header.capacity * sectorBytes : descriptorBytes(descriptor);
}

/** Header of a disk in one sparse file with another capacity. */
async function headerOf(path: string, virtualBytes: number): Promise<SparseHeader | undefined> {
  const { header } = await findDescriptor(path);
  return header && { ...header, capacity: virtualBytes / sectorBytes };
}

/** Refuses a disk of a kind that keeps its capacity: `read-only`. */
export async function refuseFixed(path: string): Promise<void> {
  const { createType, extents } = (await findDescriptor(path)).descriptor;
  if (!resizableKinds.includes(createType) || extents.some(({ access, file }) => access !== 'RW' || !file)) {
    throw new VmdkError('read-only', { file: path, reason: `this ${createType} disk keeps its capacity` });
  }
  if (extents.length !== 1 && !createType.startsWith('twoGbMaxExtent')) {
    throw new VmdkError('descriptor-invalid', { file: path, reason: `${extents.length} extents` });
  }
}

async function check(before: number, options: ResizeOptions): Promise<void> {
  const { path, virtualBytes } = options;
  await refuseFixed(path);
  await refuseUnclean(path, openingOptions(options));
  const layers = await openLayers(path, openingOptions(options));
  await Promise.all(layers.map(({ layer }) => layer.close()));
  const parent = layers[1];
  if (parent && virtualBytes < parent.layer.bytes) {
    throw new VmdkError('size-invalid', { file: path, reason: `its parent has ${parent.layer.bytes} bytes` });
  }
  if (virtualBytes < before) await refuseData(virtualBytes, before - virtualBytes, options);
}

/** Refuses to cut off anything but zeros. */
async function refuseData(offset: number, length: number, options: ResizeOptions): Promise<void> {
  const { path, signal, onProgress } = options;
  const disk = await openDisk(path, openingOptions(options));
  try {
    for await (const block of disk.blocks({ offset, length, ...(signal ? { signal } : {}) })) {
      const place = `byte ${block.offset + block.data.findIndex((byte) => byte !== 0)}`;
      throw new VmdkError('not-empty', { file: path, place, reason: `${length} bytes would be cut off` });
    }
    onProgress?.({ doneBytes: length, totalBytes: length });
  } finally {
    await disk.close();
  }
}

async function begin(path: string, before: number, options: ResizeOptions): Promise<ResizeRecord> {
  const { virtualBytes } = options;
  const { descriptor } = await findDescriptor(path);
  const extents = resizedExtents(path, descriptor, virtualBytes);
  const [more, fewer] = before < virtualBytes ? [extents, descriptor.extents] : [descriptor.extents, extents];
  const last = (await extentFiles(path, openingOptions(options)))[Math.min(more.length, fewer.length) - 1];
  if (!last) throw new VmdkError('descriptor-invalid', { file: path, reason: 'no extents' });
  const record: ResizeRecord = {
    operation: 'resize',
    virtualBytes,
    files: more.slice(fewer.length).map(({ file }) => resolve(dirname(path), file ?? '')),
    fileBytes: await lengthOf(last.path),
  };
  for (const file of before < virtualBytes ? record.files : []) await refuseExisting(file);
  options.signal?.throwIfAborted();
  await writeRecord(path, record);
  return record;
}

async function refuseExisting(file: string): Promise<void> {
  const there = await lengthOf(file).catch(() => undefined);
  if (there !== undefined) throw new VmdkError('exists', { file, reason: 'an extent would get this name' });
}

/** Extents with room for the new capacity; gives the header of the last one where it is sparse. Nothing is in force. */
async function makeRoom(path: string, record: ResizeRecord, options: ResizeOptions): Promise<SparseHeader | undefined> {
  const opening = openingOptions(options);
  const { descriptor, header: embedded } = await findDescriptor(path);
  const extents = resizedExtents(path, descriptor, record.virtualBytes);
  const last = (await extentFiles(path, opening)).at(-1);
  const [now, then] = [descriptor.extents.at(-1), extents[descriptor.extents.length - 1]];
  if (!last || !now || !then) throw new VmdkError('descriptor-invalid', { file: path, reason: 'no extents' });
  const share = embedded?.capacity ?? now.sectors;
  // What an earlier call left that was cut off.
  await removeFiles(path, record.files, opening);
  try {
    let header: SparseHeader | undefined;
    if (now.type === 'SPARSE') {
      await undoGrowth(last.path, share, record.fileBytes);
      header = await growSparseFile(last.path, share, then.sectors);
      // An extent may be longer than its share of the disk.
      if (!embedded) await writeSparseHeader(last.path, header);
    } else {
      const start = now.offset ?? 0;
      await growFlatFile(last.path, (start + now.sectors) * sectorBytes, (start + then.sectors) * sectorBytes);
    }
    for (const extent of extents.slice(descriptor.extents.length)) {
      options.signal?.throwIfAborted();
      await makeExtent(resolve(dirname(path), extent.file ?? ''), extent.sectors, header);
    }
    return embedded && header;
  } catch (error) {
    await removeFiles(path, record.files, opening);
    if (now.type === 'SPARSE') await undoGrowth(last.path, share, record.fileBytes);
    await removeRecord(path);
    throw error;
  }
}

async function makeExtent(path: string, capacity: number, like: SparseHeader | undefined): Promise<void> {
  if (!like) return createFlatExtent({ path, virtualBytes: capacity * sectorBytes });
  const grainBytes = like.grainSectors * sectorBytes;
  const zeroedGrains = like.version === 2;
  await writeSparseExtent(path, sparseLayout({ capacity, grainBytes, descriptorSectors: 0, zeroedGrains, file: path }));
}

/** Takes away what lies past the new end; nothing names it any more. */
async function cutOff(path: string, record: ResizeRecord, options: ResizeOptions): Promise<void> {
  const opening = openingOptions(options);
  const { descriptor, header } = await findDescriptor(path);
  const files = await extentFiles(path, opening);
  const named = new Set(files.map((file) => file.path));
  await removeFiles(
    path,
    record.files.filter((file) => !named.has(file)),
    opening,
  );
  const [last, file] = [descriptor.extents.at(-1), files.at(-1)];
  if (header || !last || !file || last.type === 'SPARSE') return;
  const end = ((last.offset ?? 0) + last.sectors) * sectorBytes;
  if ((await lengthOf(file.path)) > end) await setLength(file.path, end);
}
