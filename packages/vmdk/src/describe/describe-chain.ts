import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { isCowdHeader } from '../cowd/cowd-header.ts';
import { type Descriptor, formatContentId } from '../descriptor/descriptor.ts';
import { descriptorOfFile } from '../descriptor/descriptor-file.ts';
import { resolveReference } from '../descriptor/extent-path.ts';
import { maximumChainLength, type OpenDiskOptions, parentPathOf } from '../disk/open-disk.ts';
import { readSparseHeader } from '../disk/open-extent.ts';
import { VmdkError, type VmdkErrorCode } from '../errors.ts';
import { FileWindow } from '../file-window.ts';
import { isSesparseHeader } from '../sesparse/sesparse-header.ts';
import { sectorBytes } from '../size.ts';
import { embeddedDescriptor } from '../sparse/embedded-descriptor.ts';
import { isSparseHeader, sparseFlags } from '../sparse/sparse-header.ts';

/** One extent of a disk as its descriptor lists it. */
export interface ExtentFacts {
  /** Such as `FLAT`; `SPARSE` for a file that holds its descriptor itself. */
  readonly type: string;
  readonly access: string;
  /** Bytes of the disk that it stands for. */
  readonly bytes: number;
  /** None for one without a file. */
  readonly path?: string;
  /** Length of the file, and what it takes on its file system. Absent where the file cannot be seen. */
  readonly fileBytes?: number;
  readonly storedBytes?: number;
  /** Why the file cannot be used. */
  readonly problem?: string;
}

/** One disk of a chain, by what its descriptor says. */
export interface DiskFacts {
  readonly path: string;
  /** None for a bare extent without a descriptor. */
  readonly descriptor?: Descriptor;
  /** The descriptor's createType; `extent` without one. */
  readonly kind: string;
  readonly virtualBytes: number;
  readonly extents: readonly ExtentFacts[];
  /** A sparse file that its last writer did not close. */
  readonly unclean: boolean;
  readonly compressed: boolean;
}

export interface ChainFacts {
  /** Top first. */
  readonly disks: readonly [DiskFacts, ...DiskFacts[]];
  /** Why the chain cannot be opened, where it cannot. */
  readonly problem?: VmdkError;
}

export type DescribeOptions = Pick<OpenDiskOptions, 'allowOutside' | 'window'>;

/**
 * Tells what a disk and its parents are, without opening their data: also of chains that are broken, and of kinds that
 * cannot be opened. Throws only where the top disk is no VMDK.
 */
export async function describeChain(path: string, options: DescribeOptions = {}): Promise<ChainFacts> {
  const outside = options.allowOutside ? { allowOutside: options.allowOutside } : {};
  const top = await describe(path, options);
  const disks: [DiskFacts, ...DiskFacts[]] = [top];
  try {
    for (let child = top, at = parentPathOf(top, outside); at !== undefined; at = parentPathOf(child, outside)) {
      if (disks.some((disk) => disk.path === at)) {
        throw new VmdkError('chain-cycle', { file: path, reason: `${at} comes twice` });
      }
      if (disks.length >= maximumChainLength) {
        throw new VmdkError('chain-too-long', { file: path, reason: `more than ${maximumChainLength} disks` });
      }
      const parent = await describe(at, outside, 'parent-missing');
      disks.push(parent);
      const wanted = child.descriptor?.parentContentId as number;
      const has = parent.descriptor?.contentId;
      if (has !== wanted) {
        const found = has === undefined ? 'has none' : `has ${formatContentId(has)}`;
        const reason = `it expects CID ${formatContentId(wanted)}, ${at} ${found}`;
        throw new VmdkError('parent-changed', { file: child.path, reason });
      }
      child = parent;
    }
  } catch (error) {
    if (error instanceof VmdkError) return { disks, problem: error };
    throw error;
  }
  return { disks };
}

async function describe(path: string, options: DescribeOptions, missing?: VmdkErrorCode): Promise<DiskFacts> {
  const file = await FileWindow.open(path, { ...options.window, ...(missing === undefined ? {} : { missing }) });
  try {
    const magic = await file.read(0, Math.min(8, file.bytes));
    if (isSparseHeader(magic)) return await describeSparse(file, options);
    if (isCowdHeader(magic) || isSesparseHeader(magic)) {
      const own = await ownExtent(file, options, isCowdHeader(magic) ? 'VMFSSPARSE' : 'SESPARSE', 0);
      return { path, kind: 'extent', virtualBytes: 0, extents: [own], unclean: false, compressed: false };
    }
    if (magic[0] !== 0x23) {
      throw new VmdkError('not-vmdk', { file: path, reason: 'it begins like no descriptor or extent' });
    }
    const descriptor = await descriptorOfFile(file);
    const extents: ExtentFacts[] = [];
    for (const extent of descriptor.extents) extents.push(await listedExtent(path, extent, options));
    const virtualBytes = extents.reduce((sum, { bytes }) => sum + bytes, 0);
    return {
      path,
      descriptor,
      kind: descriptor.createType,
      virtualBytes,
      extents,
      unclean: await anyUnclean(extents),
      compressed: false,
    };
  } finally {
    await file.close();
  }
}

async function describeSparse(file: FileWindow, options: DescribeOptions): Promise<DiskFacts> {
  const header = await readSparseHeader(file);
  const descriptor = await embeddedDescriptor(file, header);
  const virtualBytes = header.capacity * sectorBytes;
  return {
    path: file.path,
    ...(descriptor === undefined ? {} : { descriptor }),
    kind: descriptor?.createType ?? 'extent',
    virtualBytes,
    extents: [await ownExtent(file, options, 'SPARSE', virtualBytes)],
    unclean: header.unclean,
    compressed: (header.flags & sparseFlags.compressed) !== 0,
  };
}

/** A file that is its disk's only extent. */
async function ownExtent(
  { path, bytes: fileBytes }: FileWindow,
  { window }: DescribeOptions,
  type: string,
  bytes: number,
): Promise<ExtentFacts> {
  const storedBytes = window === undefined ? (await stat(path)).blocks * sectorBytes : fileBytes;
  return { type, access: 'RW', bytes, path, fileBytes, storedBytes };
}

async function listedExtent(
  from: string,
  { type, access, sectors, file }: Descriptor['extents'][number],
  options: DescribeOptions,
): Promise<ExtentFacts> {
  const facts = { type, access, bytes: sectors * sectorBytes };
  if (file === undefined) return facts;
  try {
    const outside = options.allowOutside ? { allowOutside: options.allowOutside } : {};
    const path = resolveReference(dirname(from), file, { kind: 'extent', from, ...outside });
    const found = await stat(path).catch(() => undefined);
    if (found === undefined) return { ...facts, path, problem: 'is missing' };
    return { ...facts, path, fileBytes: found.size, storedBytes: found.blocks * sectorBytes };
  } catch (error) {
    return { ...facts, problem: error instanceof Error ? error.message : String(error) };
  }
}

async function anyUnclean(extents: readonly ExtentFacts[]): Promise<boolean> {
  for (const { type, path, fileBytes = 0 } of extents) {
    if (type !== 'SPARSE' || path === undefined || fileBytes < sectorBytes) continue;
    const file = await FileWindow.open(path);
    try {
      if (isSparseHeader(await file.read(0, 4)) && (await readSparseHeader(file)).unclean) return true;
    } catch (error) {
      // A header that is damaged says nothing of how it was closed.
      if (!(error instanceof VmdkError)) throw error;
    } finally {
      await file.close();
    }
  }
  return false;
}
