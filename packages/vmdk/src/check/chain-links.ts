import { isCowdHeader } from '../cowd/cowd-header.ts';
import { type Descriptor, descriptorBytes, formatContentId } from '../descriptor/descriptor.ts';
import { descriptorOfFile } from '../descriptor/descriptor-file.ts';
import { expectOpenable } from '../disk/create-types.ts';
import { maximumChainLength, parentPathOf } from '../disk/open-disk.ts';
import { VmdkError } from '../errors.ts';
import { FileWindow } from '../file-window.ts';
import { sectorBytes } from '../size.ts';
import { embeddedDescriptor } from '../sparse/embedded-descriptor.ts';
import { isSparseHeader, parseSparseHeader, type SparseHeader } from '../sparse/sparse-header.ts';
import type { Findings } from './findings.ts';
import type { DiskCheckOptions } from './repair-options.ts';

/** One disk of a chain, as its descriptor says. */
export interface ChainLink {
  readonly path: string;
  /** None for a bare extent. */
  readonly descriptor?: Descriptor;
  /** Header in front, where the disk is one sparse file. */
  readonly header?: SparseHeader;
  readonly virtualBytes: number;
}

/** Reads the descriptors of a chain, top first, as far as they lead, and checks how they follow one another. */
export async function readChain(path: string, findings: Findings, options: DiskCheckOptions): Promise<ChainLink[]> {
  const links: ChainLink[] = [];
  const seen = new Set<string>();
  for (let at: string | undefined = path; at !== undefined; ) {
    const current: string = at;
    const read = await readLink(current).catch((error: unknown) => {
      if (!(error instanceof VmdkError)) throw error;
      const child = links.at(-1);
      if (child) findings.add('parent-missing', child.path, error.message);
      else findings.add('unreadable', current, error.message);
      return undefined;
    });
    if (!read) return links;
    const child = links.at(-1);
    if (seen.has(read.identity) || links.length >= maximumChainLength) {
      const reason = seen.has(read.identity) ? `${current} comes twice` : `over ${maximumChainLength} disks`;
      findings.add('chain-cycle', path, reason);
      return links;
    }
    seen.add(read.identity);
    if (child) checkLink(child, read.link, findings);
    links.push(read.link);
    at = parentOf(read.link, findings, options);
  }
  return links;
}

async function readLink(path: string): Promise<{ readonly link: ChainLink; readonly identity: string }> {
  const file = await FileWindow.open(path);
  try {
    const { identity } = file;
    const head = await file.read(0, Math.min(sectorBytes, file.bytes));
    if (isSparseHeader(head)) {
      const header = parseSparseHeader(head, path);
      const descriptor = await embeddedDescriptor(file, header);
      const virtualBytes = header.capacity * sectorBytes;
      return { link: { path, header, virtualBytes, ...(descriptor ? { descriptor } : {}) }, identity };
    }
    if (isCowdHeader(head)) return { link: { path, virtualBytes: head.readUInt32LE(12) * sectorBytes }, identity };
    if (head[0] !== 0x23) {
      throw new VmdkError('not-vmdk', { file: path, reason: 'it begins like no descriptor or extent' });
    }
    const descriptor = await descriptorOfFile(file);
    expectOpenable(descriptor.createType, path);
    return { link: { path, descriptor, virtualBytes: descriptorBytes(descriptor) }, identity };
  } finally {
    await file.close();
  }
}

function parentOf(link: ChainLink, findings: Findings, options: DiskCheckOptions): string | undefined {
  try {
    return parentPathOf(link, options.allowOutside ? { allowOutside: options.allowOutside } : {});
  } catch (error) {
    if (!(error instanceof VmdkError)) throw error;
    findings.add('parent-missing', link.path, error.message);
    return undefined;
  }
}

function checkLink(child: ChainLink, parent: ChainLink, findings: Findings): void {
  const expected = child.descriptor?.parentContentId as number;
  if (!parent.descriptor) findings.add('parent-missing', child.path, `${parent.path} has no CID`);
  else if (parent.descriptor.contentId !== expected) {
    const reason = `it expects CID ${formatContentId(expected)}, ${parent.path} has ${formatContentId(parent.descriptor.contentId)}`;
    findings.add('parent-changed', child.path, reason);
  }
  if (parent.virtualBytes > child.virtualBytes) {
    const reason = `${parent.path} has ${parent.virtualBytes} bytes, the child ${child.virtualBytes}`;
    findings.add('parent-larger', child.path, reason);
  }
}
