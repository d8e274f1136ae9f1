import { basename, dirname } from 'node:path';
import { type Descriptor, formatContentId } from '../descriptor/descriptor.ts';
import { editDescriptor } from '../descriptor/descriptor-edit.ts';
import { writeDescriptor } from '../descriptor/descriptor-file.ts';
import type { ExtentDescription } from '../descriptor/extent-line.ts';
import { resolveReference } from '../descriptor/extent-path.ts';
import { FileWindow } from '../file-window.ts';
import { sectorBytes } from '../size.ts';
import { replaceEmbeddedDescriptor } from '../sparse/embedded-descriptor.ts';
import { parseSparseHeader, type SparseHeader, uncleanOffset } from '../sparse/sparse-header.ts';
import { scanFile } from '../stream/recover-stream.ts';
import { type ChainLink, readChain } from './chain-links.ts';
import { checkDisk, type DiskCheck } from './check-disk.ts';
import { checkSparse } from './check-sparse.ts';
import { type FindingCode, Findings } from './findings.ts';
import { finishStream } from './finish-stream.ts';
import { reclaimLeaks } from './reclaim-leaks.ts';
import type { DiskCheckOptions, RepairOptions } from './repair-options.ts';
import { repairTables } from './repair-tables.ts';

export interface RepairAction {
  readonly file: string;
  readonly message: string;
}

export interface DiskRepair {
  readonly before: DiskCheck;
  readonly actions: readonly RepairAction[];
  /** The disk as it is now; what could not be repaired is still there. */
  readonly after: DiskCheck;
}

/** Findings that `repairTables` deals with. */
const tableFindings: readonly FindingCode[] = ['directory-damaged', 'table-damaged', 'copy-damaged', 'copies-differ'];
/** Findings in spite of which an extent must not be called clean. */
const doubtful: readonly FindingCode[] = ['table-lost', 'grain-lost', 'grain-cut', 'grain-overlap', 'copies-conflict'];

/**
 * Repairs what is safe to repair of one disk, and what the options allow; its ancestors are checked and left alone.
 * Nobody may have the disk open. No data is destroyed: where two copies disagree for good, or a place is lost, it stays
 * as it is. Killed at any moment, it can be run again.
 */
export async function repairDisk(path: string, options: DiskCheckOptions & RepairOptions = {}): Promise<DiskRepair> {
  const before = await checkDisk(path, options);
  const actions: RepairAction[] = [];
  const findings = new Findings();
  const [link, parent] = await readChain(path, findings, options);
  if (link) {
    const mine = before.findings.filter(
      ({ file }) => file === path || before.disks[0]?.extents.some((extent) => extent.file === file),
    );
    const found = (file: string, codes: readonly FindingCode[]) =>
      mine.some((finding) => finding.file === file && codes.includes(finding.code));
    await repairDescriptor(link, parent, before, options, actions);
    for (const { file } of before.disks[0]?.extents ?? []) {
      options.signal?.throwIfAborted();
      if (found(file, [...tableFindings, 'unclean', 'grains-leaked'])) await repairSparse(file, options, actions);
      if (found(file, ['stream-damaged'])) continue;
      if (found(file, ['stream-unfinished']) || (options.acceptLoss && found(file, ['stream-cut']))) {
        await repairStream(file, options, actions);
      }
    }
  }
  const after = actions.length === 0 ? before : await checkDisk(path, options);
  return { before, actions, after };
}

async function repairSparse(path: string, options: DiskCheckOptions, actions: RepairAction[]): Promise<void> {
  const file = await FileWindow.open(path, { writable: true });
  try {
    const magic = await file.read(0, sectorBytes);
    if (magic.toString('latin1', 0, 4) !== 'KDMV') return;
    const done = await repairTables(file, parseSparseHeader(magic, path));
    actions.push(...done.map((message) => ({ file: path, message })));
  } finally {
    await file.close();
  }
  await settleSparse(path, options, actions);
}

/** With whole tables: takes leaked room back and the mark of a writer off. */
async function settleSparse(path: string, options: DiskCheckOptions, actions: RepairAction[]): Promise<void> {
  const file = await FileWindow.open(path, { writable: true });
  try {
    const header = await headerOf(file);
    const findings = new Findings();
    const signal = options.signal ? { signal: options.signal } : {};
    const { leaks, reclaimable } = await checkSparse(file, header, findings, signal);
    if (findings.has(path, ...doubtful, ...tableFindings)) return;
    if (leaks.length > 0 && reclaimable) {
      const freed = await reclaimLeaks(file, header, leaks, options.signal);
      if (freed > 0) actions.push({ file: path, message: `${freed} bytes that nothing referred to were given back` });
    }
    if (!header.unclean) return;
    await file.write(Uint8Array.of(0), uncleanOffset);
    await file.sync();
    actions.push({ file: path, message: 'the mark of an unfinished writer was taken off' });
  } finally {
    await file.close();
  }
}

async function repairStream(path: string, options: DiskCheckOptions, actions: RepairAction[]): Promise<void> {
  const file = await FileWindow.open(path, { writable: true });
  try {
    const scan = await scanFile(file, options.signal ? { signal: options.signal } : {});
    if (scan.damages.some(({ position }) => position < scan.grainsEnd)) return;
    const kept = await finishStream(file, scan);
    const rest = kept === undefined ? '' : `; what was cut off is in ${basename(kept)}`;
    const message = `tables and footer were written behind its ${scan.grains.count} whole grains${rest}`;
    actions.push({ file: path, message });
  } finally {
    await file.close();
  }
}

async function headerOf(file: FileWindow): Promise<SparseHeader> {
  return parseSparseHeader(await file.read(0, sectorBytes), file.path);
}

async function repairDescriptor(
  link: ChainLink,
  parent: ChainLink | undefined,
  check: DiskCheck,
  options: DiskCheckOptions & RepairOptions,
  actions: RepairAction[],
): Promise<void> {
  const { path, descriptor } = link;
  if (!descriptor) return;
  let changed = descriptor;
  const has = (code: FindingCode) => check.findings.some((finding) => finding.file === path && finding.code === code);
  const name = basename(path);
  if (has('name-differs') && changed.extents.length === 1) {
    changed = editDescriptor(changed, { extents: changed.extents.map((extent) => ({ ...extent, file: name })) });
    actions.push({ file: path, message: `the descriptor inside names ${name}` });
  }
  const contentId = parent?.descriptor?.contentId;
  if (options.acceptParent && has('parent-changed') && contentId !== undefined) {
    changed = editDescriptor(changed, { parentContentId: contentId });
    actions.push({ file: path, message: `parentCID is ${formatContentId(contentId)} now, as ${parent?.path} has it` });
  }
  if (options.matchExtents) {
    const extents = await matchedExtents(link, changed, check, options);
    const different = extents.some(({ sectors }, index) => sectors !== changed.extents[index]?.sectors);
    if (different) {
      changed = editDescriptor(changed, { extents });
      actions.push({
        file: path,
        message: `extents have ${extents.map(({ sectors }) => sectors).join(', ')} sectors now`,
      });
    }
  }
  if (changed === descriptor) return;
  if (!link.header) {
    await writeDescriptor(path, changed, { replace: true });
    return;
  }
  const file = await FileWindow.open(path, { writable: true });
  try {
    await replaceEmbeddedDescriptor(file, { descriptor: changed });
  } finally {
    await file.close();
  }
}

/** The extents with the sizes that their files have. */
async function matchedExtents(
  { path, header }: ChainLink,
  descriptor: Descriptor,
  check: DiskCheck,
  options: DiskCheckOptions,
): Promise<ExtentDescription[]> {
  const wrong = (file: string) =>
    check.findings.some(
      (finding) => finding.file === file && (finding.code === 'extent-short' || finding.code === 'extent-long'),
    );
  const matched: ExtentDescription[] = [];
  for (const extent of descriptor.extents) {
    if (header) {
      matched.push(wrong(path) ? { ...extent, sectors: header.capacity } : extent);
      continue;
    }
    if (extent.file === undefined) {
      matched.push(extent);
      continue;
    }
    const allow = options.allowOutside ? { allowOutside: options.allowOutside } : {};
    const file = resolveReference(dirname(path), extent.file, { kind: 'extent', from: path, ...allow });
    const sectors = wrong(file) ? await sectorsOf(file, extent) : extent.sectors;
    matched.push(sectors > 0 ? { ...extent, sectors } : extent);
  }
  return matched;
}

async function sectorsOf(path: string, extent: ExtentDescription): Promise<number> {
  const file = await FileWindow.open(path);
  try {
    if (extent.type !== 'FLAT' && extent.type !== 'VMFS') {
      const head = await file.read(0, Math.min(sectorBytes, file.bytes));
      return head.toString('latin1', 0, 4) === 'KDMV' ? parseSparseHeader(head, path).capacity : extent.sectors;
    }
    return Math.floor(file.bytes / sectorBytes) - (extent.offset ?? 0);
  } finally {
    await file.close();
  }
}
