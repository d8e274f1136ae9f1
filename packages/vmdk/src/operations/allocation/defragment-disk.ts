import { rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { copyDisk } from '../../convert/copy-disk.ts';
import { SparseSink } from '../../convert/sparse-sink.ts';
import { maximumDescriptorBytes, noParent } from '../../descriptor/descriptor.ts';
import { syncFolder, temporaryBeside } from '../../descriptor/descriptor-file.ts';
import { openDisk } from '../../disk/open-disk.ts';
import { readSparseHeader } from '../../disk/open-extent.ts';
import { readRecord, unfinished } from '../../disk/operation-record.ts';
import { fileError, VmdkError } from '../../errors.ts';
import { FileWindow } from '../../file-window.ts';
import { sectorBytes } from '../../size.ts';
import { writeSparseExtent } from '../../sparse/create-sparse.ts';
import { isSparseHeader, type SparseHeader, sparseFlags } from '../../sparse/sparse-header.ts';
import { sparseLayout } from '../../sparse/sparse-layout.ts';
import { findDescriptor } from '../files/disk-descriptor.ts';
import { extentFiles, refuseUnclean } from '../files/disk-files.ts';
import { type OperationOptions, openingOptions } from '../operation-options.ts';

export interface DefragmentOptions extends OperationOptions {
  readonly path: string;
}

/**
 * Writes the grains of a disk's sparse extents anew in the order of the disk, with those of zeros left out. Each extent
 * is written beside the old one and takes its place when it is whole: it may be cut off at any moment, and no byte of
 * the disk changes. Flat and compressed extents are in order as they are. Only a disk without a parent
 * (`unsupported-extent`). Nobody may write the disk meanwhile.
 */
export async function defragmentDisk(options: DefragmentOptions): Promise<void> {
  const { path, signal, onProgress } = options;
  const record = await readRecord(path);
  if (record) throw unfinished(path, record);
  await refuseUnclean(path, openingOptions(options));
  const { descriptor } = await findDescriptor(path);
  if (descriptor.parentContentId !== noParent) {
    throw new VmdkError('unsupported-extent', { file: path, reason: 'its grains hide those of its parent' });
  }
  const totalBytes = descriptor.extents.reduce((sum, { sectors }) => sum + sectors, 0) * sectorBytes;
  let before = 0;
  for (const { path: file, index } of await extentFiles(path, openingOptions(options))) {
    signal?.throwIfAborted();
    await rewriteExtent(file, {
      ...(signal ? { signal } : {}),
      onProgress: ({ doneBytes }) => onProgress?.({ doneBytes: before + doneBytes, totalBytes }),
    });
    before += (descriptor.extents[index]?.sectors ?? 0) * sectorBytes;
    onProgress?.({ doneBytes: before, totalBytes });
  }
}

async function rewriteExtent(path: string, watched: Pick<OperationOptions, 'signal' | 'onProgress'>): Promise<void> {
  const old = await sparseHead(path);
  if (old === undefined) return;
  const header = sparseLayout({
    capacity: old.header.capacity,
    grainBytes: old.header.grainSectors * sectorBytes,
    descriptorSectors: old.header.descriptorSectors,
    zeroedGrains: (old.header.flags & sparseFlags.zeroedGrains) !== 0,
    file: path,
  });
  const temporary = temporaryBeside(path);
  try {
    await writeSparseExtent(temporary, header, old.descriptor);
    const source = await openDisk(path);
    try {
      const sink = await SparseSink.open([{ path: temporary, start: 0, bytes: source.virtualBytes }]);
      try {
        await copyDisk(source, sink, watched);
        await sink.finish();
      } finally {
        await sink.close();
      }
    } finally {
      await source.close();
    }
    watched.signal?.throwIfAborted();
    await rename(temporary, path);
    await syncFolder(dirname(path));
  } catch (error) {
    if (watched.signal?.aborted) throw error;
    throw fileError(error, path);
  } finally {
    await rm(temporary, { force: true });
  }
}

/** Header of a sparse extent, and the descriptor in it; undefined for one of another kind, or a compressed one. */
async function sparseHead(path: string): Promise<{ header: SparseHeader; descriptor: Buffer } | undefined> {
  const file = await FileWindow.open(path, { missing: 'extent-missing' });
  try {
    if (!isSparseHeader(await file.read(0, Math.min(sectorBytes, file.bytes)))) return undefined;
    const header = await readSparseHeader(file);
    if ((header.flags & sparseFlags.compressed) !== 0) return undefined;
    const [start, length] = [header.descriptorOffset * sectorBytes, header.descriptorSectors * sectorBytes];
    if (length > maximumDescriptorBytes) {
      throw new VmdkError('descriptor-too-large', { file: path, reason: `${length} bytes of room for it` });
    }
    return { header, descriptor: await file.read(start, length) };
  } finally {
    await file.close();
  }
}
