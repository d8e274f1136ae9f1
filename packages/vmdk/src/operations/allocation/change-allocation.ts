import { editDescriptor } from '../../descriptor/descriptor-edit.ts';
import { LayeredDisk } from '../../disk/layered-disk.ts';
import { openLayer, openLayers } from '../../disk/open-disk.ts';
import { readRecord, unfinished } from '../../disk/operation-record.ts';
import { VmdkError } from '../../errors.ts';
import { FileWindow } from '../../file-window.ts';
import { type ByteRange, digHoles, reserveRoom } from '../../flat/punch-holes.ts';
import { isZero, sectorBytes } from '../../size.ts';
import { changeDescriptor, findDescriptor } from '../files/disk-descriptor.ts';
import { extentFiles, refuseUnclean } from '../files/disk-files.ts';
import { type OperationOptions, openingOptions } from '../operation-options.ts';

/** Bytes given back or reserved by one call of the file system. */
const stretchBytes = 2 ** 30;
const pieceBytes = 2 ** 20;
/** Zeros are looked for in units of this size. */
const unitBytes = 65536;

export interface AllocationOptions extends OperationOptions {
  readonly path: string;
}

export interface ThickenOptions extends AllocationOptions {
  /** `thick`: all room is reserved. `eager`: zeros are written wherever it reads zeros. Default `thick`. */
  readonly allocation?: 'thick' | 'eager';
}

/**
 * Gives back the room of all that reads as zeros: holes in a flat file, no grains in a sparse one. A `vmfs` disk is
 * called thin from then on. No byte of the disk changes, so that its CID stays and it may be cut off at any moment.
 * `room-unsupported` where the file system or the machine cannot do it. Nobody may write the disk meanwhile.
 */
export async function thinDisk(options: AllocationOptions): Promise<void> {
  const { path, signal } = options;
  await expectIdle(options);
  if ((await findDescriptor(path)).descriptor.extents.some(({ type }) => type === 'SPARSE')) return trimGrains(options);
  await eachStretch(options, async (file, range) => {
    if (!(await digHoles(file, range, signal))) throw unsupported(file);
  });
  await markThin(path, true);
}

/**
 * Takes all room that a flat disk may ever need; a `vmfs` disk is no longer called thin. No byte of it changes, so that
 * its CID stays and it may be cut off at any moment. Nobody may write the disk meanwhile.
 */
export async function thickenDisk(options: ThickenOptions): Promise<void> {
  const { path, signal } = options;
  await expectIdle(options);
  await eachStretch(options, async (file, range) => {
    const reserved = options.allocation !== 'eager' && (await reserveRoom(file, range, signal));
    if (!reserved) await writeZerosOverZeros(file, range, signal);
  });
  await markThin(path, false);
}

async function expectIdle(options: AllocationOptions): Promise<void> {
  const pending = await readRecord(options.path);
  if (pending) throw unfinished(options.path, pending);
  await refuseUnclean(options.path, openingOptions(options));
}

/** Every stretch of the files of a flat disk, with progress. */
async function eachStretch(
  options: AllocationOptions,
  work: (file: string, range: ByteRange) => Promise<void>,
): Promise<void> {
  const { path, signal, onProgress } = options;
  // Fails now where an extent is missing, too short or not to be written.
  const { layer } = await openLayer(path, { ...openingOptions(options), writable: true });
  const totalBytes = layer.bytes;
  await layer.close();
  const { descriptor } = await findDescriptor(path);
  let doneBytes = 0;
  for (const { path: file, index } of await extentFiles(path, openingOptions(options))) {
    const extent = descriptor.extents[index];
    if (!extent || (extent.type !== 'FLAT' && extent.type !== 'VMFS')) {
      const reason = `a ${extent?.type} extent has no room of its own; flatten it to a flat kind`;
      throw new VmdkError('unsupported-extent', { file: path, reason });
    }
    const [start, bytes] = [(extent.offset ?? 0) * sectorBytes, extent.sectors * sectorBytes];
    for (let done = 0; done < bytes; done += stretchBytes) {
      signal?.throwIfAborted();
      const length = Math.min(stretchBytes, bytes - done);
      await work(file, { offset: start + done, length });
      doneBytes += length;
      onProgress?.({ doneBytes, totalBytes });
    }
  }
}

async function writeZerosOverZeros(path: string, range: ByteRange, signal: AbortSignal | undefined): Promise<void> {
  const file = await FileWindow.open(path, { writable: true, missing: 'extent-missing' });
  try {
    const end = range.offset + range.length;
    for (let at = range.offset; at < end; at += pieceBytes) {
      signal?.throwIfAborted();
      const piece = await file.read(at, Math.min(pieceBytes, end - at));
      for (let done = 0; done < piece.length; done += unitBytes) {
        const unit = piece.subarray(done, done + unitBytes);
        if (isZero(unit)) await file.write(unit, at + done);
      }
    }
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Takes grains of zeros out of a sparse disk. A child keeps those that hide what its parent holds. */
async function trimGrains(options: AllocationOptions): Promise<void> {
  const { path, signal, onProgress } = options;
  const [top, ...parents] = await openLayers(path, { ...openingOptions(options), writable: true });
  const layers = [top.layer, ...parents.map(({ layer }) => layer)] as const;
  // No new CID: nothing that anybody reads changes.
  const disk = new LayeredDisk({ path, layers, writable: true });
  try {
    const own = new LayeredDisk({ path, layers: [top.layer], writable: false });
    for await (const { offset, length, state } of own.map(signal ? { signal } : {})) {
      for (let done = 0; state === 'data' && done < length; ) {
        signal?.throwIfAborted();
        const at = offset + done;
        const bytes = Math.min(length - done, pieceBytes);
        await trimZeros(disk, at, await own.read(at, bytes), top.layer.blockBytesAt(at));
        done += bytes;
        onProgress?.({ doneBytes: at + bytes, totalBytes: disk.virtualBytes });
      }
    }
    await disk.flush();
  } finally {
    await disk.close();
  }
}

async function trimZeros(disk: LayeredDisk, offset: number, data: Buffer, blockBytes: number): Promise<void> {
  for (let done = 0; done < data.length; done += blockBytes) {
    const block = data.subarray(done, done + blockBytes);
    if (isZero(block)) await disk.trim(offset + done, block.length);
  }
}

/** Only `vmfs` descriptors say whether a disk is thin. */
async function markThin(path: string, thin: boolean): Promise<void> {
  const { descriptor } = await findDescriptor(path);
  if (descriptor.createType !== 'vmfs' || descriptor.ddb.has('thinProvisioned') === thin) return;
  await changeDescriptor(path, (now) => editDescriptor(now, { ddb: { thinProvisioned: thin ? '1' : undefined } }));
}

function unsupported(file: string): VmdkError {
  return new VmdkError('room-unsupported', { file, reason: 'fallocate of util-linux is missing or was refused' });
}
