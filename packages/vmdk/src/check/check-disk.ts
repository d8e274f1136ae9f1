import { basename, dirname } from 'node:path';
import { cowdLayout, readCowdDirectory, readCowdHeader } from '../cowd/cowd-extent.ts';
import { isCowdHeader } from '../cowd/cowd-header.ts';
import type { ExtentDescription } from '../descriptor/extent-line.ts';
import { resolveReference } from '../descriptor/extent-path.ts';
import { readSparseHeader } from '../disk/open-extent.ts';
import { VmdkError } from '../errors.ts';
import { FileWindow } from '../file-window.ts';
import { readSesparseDirectory, readSesparseHeader, sesparseLayout } from '../sesparse/sesparse-extent.ts';
import { isSesparseHeader } from '../sesparse/sesparse-header.ts';
import { sectorBytes } from '../size.ts';
import { isSparseHeader, parseSparseHeader, type SparseHeader, sparseFlags } from '../sparse/sparse-header.ts';
import { type ChainLink, readChain } from './chain-links.ts';
import { checkMapped } from './check-mapped.ts';
import { checkSparse, type ExtentCheck } from './check-sparse.ts';
import { checkCompressed, checkUnfinished } from './check-stream.ts';
import { type Finding, Findings } from './findings.ts';
import type { DiskCheckOptions } from './repair-options.ts';

/** A file with an extent, as the check saw it. */
export interface CheckedExtent {
  readonly file: string;
  /** Length of the file. */
  readonly bytes: number;
  /** Grains that are stored; none for a flat extent. */
  readonly grains?: number;
  /** Bytes that nothing refers to. */
  readonly leakedBytes?: number;
}

export interface CheckedChainDisk {
  readonly path: string;
  readonly createType?: string;
  readonly virtualBytes: number;
  readonly extents: readonly CheckedExtent[];
}

export interface DiskCheck {
  readonly path: string;
  /** Nothing of severity `error` was found. */
  readonly sound: boolean;
  readonly findings: readonly Finding[];
  /** The disk and its ancestors, top first, as far as they could be read. */
  readonly disks: readonly CheckedChainDisk[];
}

/**
 * Checks a disk with all its ancestors: descriptors against extents, grain directories and tables against one another
 * and their file, overlaps, leaks, compressed grains, marks of writers, the chain of CIDs. Changes nothing; what it
 * finds does not make it fail. Memory stays under 100 MB, whatever the size of the disk.
 */
export async function checkDisk(path: string, options: DiskCheckOptions = {}): Promise<DiskCheck> {
  const findings = new Findings();
  const links = await readChain(path, findings, options);
  const totalBytes = links.reduce((sum, { virtualBytes }) => sum + virtualBytes, 0);
  let before = 0;
  const disks: CheckedChainDisk[] = [];
  for (const link of links) {
    options.signal?.throwIfAborted();
    let passed = 0;
    const advance = (bytes: number) => {
      passed = Math.min(link.virtualBytes, passed + bytes);
      options.onProgress?.({ doneBytes: before + passed, totalBytes });
    };
    const extents = await checkExtents(link, findings, options, advance);
    before += link.virtualBytes;
    options.onProgress?.({ doneBytes: before, totalBytes });
    const createType = link.descriptor?.createType;
    const { virtualBytes } = link;
    disks.push({ path: link.path, virtualBytes, extents, ...(createType === undefined ? {} : { createType }) });
  }
  const list = findings.list();
  return { path, sound: !list.some(({ severity }) => severity === 'error'), findings: list, disks };
}

type Advance = (bytes: number) => void;

async function checkExtents(
  link: ChainLink,
  findings: Findings,
  options: DiskCheckOptions,
  advance: Advance,
): Promise<CheckedExtent[]> {
  const { path, descriptor, header } = link;
  if (header || !descriptor) {
    const named = descriptor?.extents[0];
    if (named?.file !== undefined && named.file !== basename(path)) findings.add('name-differs', path, named.file);
    const checked = await checkFile(path, named, 0, findings, options, advance);
    return checked ? [checked] : [];
  }
  const extents: CheckedExtent[] = [];
  for (const extent of descriptor.extents) {
    options.signal?.throwIfAborted();
    if (extent.file === undefined) continue;
    const uses = descriptor.extents.filter(({ file }) => file === extent.file).length;
    let file: string;
    try {
      file = resolveReference(dirname(path), extent.file, {
        kind: 'extent',
        from: path,
        ...(options.allowOutside ? { allowOutside: options.allowOutside } : {}),
      });
    } catch (error) {
      if (!(error instanceof VmdkError)) throw error;
      findings.add('unreadable', path, error.message);
      continue;
    }
    const checked = await checkFile(file, extent, uses, findings, options, advance);
    if (checked) extents.push(checked);
  }
  return extents;
}

/** `uses`: how often the descriptor names this file; 0 where it is the file of the descriptor itself. */
async function checkFile(
  path: string,
  description: ExtentDescription | undefined,
  uses: number,
  findings: Findings,
  options: DiskCheckOptions,
  advance: Advance,
): Promise<CheckedExtent | undefined> {
  let file: FileWindow | undefined;
  try {
    file = await FileWindow.open(path, { missing: 'extent-missing' });
    const checked = await checkOpened(file, description, uses, findings, options, advance);
    const { bytes } = file;
    if (!checked) return { file: path, bytes };
    const leakedBytes = checked.leaks.reduce((sum, leak) => sum + leak.bytes, 0);
    return { file: path, bytes, grains: checked.grains, leakedBytes };
  } catch (error) {
    if (!(error instanceof VmdkError)) throw error;
    if (error.code === 'extent-missing') findings.add('extent-missing', path, error.message);
    else if (error.code === 'unclean') findings.add('journal-waiting', path, error.message);
    else findings.add('unreadable', path, error.message);
    return undefined;
  } finally {
    await file?.close();
  }
}

async function checkOpened(
  file: FileWindow,
  description: ExtentDescription | undefined,
  uses: number,
  findings: Findings,
  options: DiskCheckOptions,
  advance: Advance,
): Promise<ExtentCheck | undefined> {
  if (description?.type === 'FLAT' || description?.type === 'VMFS') {
    checkFlat(file, description, uses, findings);
    advance(description.sectors * sectorBytes);
    return undefined;
  }
  const magic = await file.read(0, Math.min(4, file.bytes));
  const progress = { signal: options.signal, advance };
  if (isCowdHeader(magic)) {
    const header = await readCowdHeader(file);
    if (header.unclean) findings.add('unclean', file.path, 'the mark in its header is set; only ESXi clears it');
    checkCapacity(file, header.capacity, description, findings);
    return checkMapped(file, cowdLayout(file, header, await readCowdDirectory(file, header)), findings, progress);
  }
  if (isSesparseHeader(magic)) {
    const header = await readSesparseHeader(file);
    checkCapacity(file, header.capacity, description, findings);
    const layout = sesparseLayout(file, header, await readSesparseDirectory(file, header));
    return checkMapped(file, layout, findings, progress);
  }
  if (!isSparseHeader(magic)) {
    throw new VmdkError('header-invalid', { file: file.path, place: 'byte 0', reason: 'it begins like no extent' });
  }
  const front = parseSparseHeader(await file.read(0, Math.min(sectorBytes, file.bytes)), file.path);
  checkCapacity(file, front.capacity, description, findings);
  if (!(front.flags & sparseFlags.compressed)) return checkSparse(file, front, findings, progress);
  const header = await finishedHeader(file);
  if (!header) return checkUnfinished(file, findings, options.signal);
  return checkCompressed(file, header, findings, { ...progress, expandGrains: options.expandGrains ?? true });
}

/** The header that counts; undefined where the stream ends without one, or before the grains that its tables name. */
async function finishedHeader(file: FileWindow): Promise<SparseHeader | undefined> {
  try {
    return await readSparseHeader(file);
  } catch (error) {
    if (error instanceof VmdkError && error.code === 'truncated') return undefined;
    throw error;
  }
}

function checkFlat(file: FileWindow, description: ExtentDescription, uses: number, findings: Findings): void {
  const end = ((description.offset ?? 0) + description.sectors) * sectorBytes;
  const reason = `${file.bytes} bytes where the descriptor has ${end}`;
  if (file.bytes < end) findings.add('extent-short', file.path, reason);
  else if (file.bytes - end >= sectorBytes && uses === 1 && !description.offset) {
    findings.add('extent-long', file.path, reason);
  }
}

function checkCapacity(
  file: FileWindow,
  capacity: number,
  description: ExtentDescription | undefined,
  findings: Findings,
): void {
  if (!description || description.sectors === capacity) return;
  const reason = `${capacity} sectors where the descriptor has ${description.sectors}`;
  findings.add(capacity < description.sectors ? 'extent-short' : 'extent-long', file.path, reason);
}
