import { dirname } from 'node:path';
import { openCowd, readCowdHeader } from '../cowd/cowd-extent.ts';
import { isCowdHeader } from '../cowd/cowd-header.ts';
import { newContentId, replaceContentId, withContentId } from '../descriptor/content-id.ts';
import { type Descriptor, formatContentId, noParent } from '../descriptor/descriptor.ts';
import { descriptorOfFile } from '../descriptor/descriptor-file.ts';
import { type OutsideReference, resolveReference } from '../descriptor/extent-path.ts';
import { VmdkError } from '../errors.ts';
import { FileWindow } from '../file-window.ts';
import { isSesparseHeader } from '../sesparse/sesparse-header.ts';
import { sectorBytes } from '../size.ts';
import { embeddedDescriptor, replaceEmbeddedDescriptor } from '../sparse/embedded-descriptor.ts';
import { isSparseHeader } from '../sparse/sparse-header.ts';
import { expectOpenable } from './create-types.ts';
import type { Disk } from './disk.ts';
import type { OnWarning } from './disk-warning.ts';
import { Layer, type PlacedExtent } from './layer.ts';
import { LayeredDisk } from './layered-disk.ts';
import { openExtent, openSparse, readSparseHeader } from './open-extent.ts';
import { readRecord } from './operation-record.ts';

/** Most disks of a chain. */
export const maximumChainLength = 256;
const maximumExtents = 4096;

export interface OpenDiskOptions {
  /** Default: read only. Parents are never written. */
  readonly writable?: boolean;
  /** Where the image lies within the file, such as in an OVA. Bytes. Hosted sparse and streamOptimized only. */
  readonly window?: { readonly offset: number; readonly length: number };
  /** Says whether an extent or parent outside the descriptor's folder may be opened. Default: never. */
  readonly allowOutside?: (reference: OutsideReference) => boolean;
  /** Told of damage that the disk is read in spite of. */
  readonly onWarning?: OnWarning;
}

/** One disk of a chain, opened without its parents. */
export interface OpenedLayer {
  readonly path: string;
  readonly layer: Layer;
  readonly identity: string;
  readonly descriptor?: Descriptor;
  readonly renewContentId?: () => Promise<void>;
}

/**
 * Opens a disk with all its parents. Each parent must still have the CID that its child recorded (`parent-changed`);
 * a chain is at most 256 disks and has no cycle. Nothing stays open when it fails.
 */
export async function openDisk(path: string, options: OpenDiskOptions = {}): Promise<Disk> {
  return diskOfLayers(await openLayers(path, options), options.writable ?? false);
}

/** The disk that opened layers make, top first. */
export function diskOfLayers(opened: readonly [OpenedLayer, ...OpenedLayer[]], writable = false): LayeredDisk {
  const [top, ...parents] = opened;
  return new LayeredDisk({
    path: top.path,
    layers: [top.layer, ...parents.map(({ layer }) => layer)],
    writable,
    ...(top.descriptor ? { descriptor: top.descriptor } : {}),
    ...(top.renewContentId ? { renewContentId: top.renewContentId } : {}),
  });
}

/** Opens a disk and its parents one by one, top first; only the top is writable where that is asked for. */
export async function openLayers(
  path: string,
  options: OpenDiskOptions = {},
): Promise<readonly [OpenedLayer, ...OpenedLayer[]]> {
  const opened: OpenedLayer[] = [];
  try {
    const top = await openLayer(path, options);
    opened.push(top);
    for (let child = top, parentPath = parentPathOf(top, options); parentPath !== undefined; ) {
      if (opened.length >= maximumChainLength) {
        throw new VmdkError('chain-too-long', { file: path, reason: `more than ${maximumChainLength} disks` });
      }
      const parent = await openLayer(parentPath, {
        ...(options.allowOutside ? { allowOutside: options.allowOutside } : {}),
        ...(options.onWarning ? { onWarning: options.onWarning } : {}),
      });
      const seen = opened.some(({ identity }) => identity === parent.identity);
      opened.push(parent);
      if (seen) throw new VmdkError('chain-cycle', { file: path, reason: `${parentPath} comes twice` });
      await checkParent(child, parent);
      child = parent;
      parentPath = parentPathOf(parent, options);
    }
    return [top, ...opened.slice(1)];
  } catch (error) {
    await Promise.allSettled(opened.map(({ layer }) => layer.close()));
    throw error;
  }
}

/** Where the parent of a disk lies; undefined when it has none. */
export function parentPathOf(
  { path, descriptor }: Pick<OpenedLayer, 'path' | 'descriptor'>,
  options: Pick<OpenDiskOptions, 'allowOutside'> = {},
): string | undefined {
  if (!descriptor || descriptor.parentContentId === noParent) return undefined;
  const hint = descriptor.parentFileNameHint;
  if (!hint)
    throw new VmdkError('parent-missing', { file: path, reason: 'parentCID is set, parentFileNameHint is not' });
  return resolveReference(dirname(path), hint, {
    kind: 'parent',
    from: path,
    ...(options.allowOutside ? { allowOutside: options.allowOutside } : {}),
  });
}

async function checkParent(child: OpenedLayer, parent: OpenedLayer): Promise<void> {
  const wanted = child.descriptor?.parentContentId;
  if (!parent.descriptor || wanted === undefined)
    throw new VmdkError('parent-missing', { file: child.path, reason: `${parent.path} has no CID` });
  const found = parent.descriptor.contentId;
  if (found === wanted || (await inTransit(child.path, found, wanted))) return;
  const reason = `it expects CID ${formatContentId(wanted)}, ${parent.path} has ${formatContentId(found)}`;
  throw new VmdkError('parent-changed', { file: child.path, reason });
}

/** Whether a commit of this disk was cut off between the two places where the parent's new CID is written. */
async function inTransit(path: string, ...contentIds: readonly number[]): Promise<boolean> {
  const record = await readRecord(path);
  if (record?.operation !== 'commit') return false;
  return contentIds.every((id) => id === record.oldContentId || id === record.newContentId);
}

/** Opens one disk of a chain without its parents. */
export async function openLayer(path: string, options: OpenDiskOptions = {}): Promise<OpenedLayer> {
  const writable = options.writable ?? false;
  const file = await FileWindow.open(path, { ...options.window });
  let kept = false;
  try {
    const magic = await file.read(0, Math.min(4, file.bytes));
    if (isSparseHeader(magic)) {
      const sparse = writable ? await FileWindow.open(path, { ...options.window, writable }) : file;
      kept = sparse === file;
      return await openSparseLayer(sparse, options.onWarning);
    }
    if (isCowdHeader(magic)) {
      kept = true;
      return await openBareCowd(file, writable);
    }
    if (isSesparseHeader(magic)) {
      const reason = 'it is an extent of a seSparse disk and holds no name of its parent; open its descriptor';
      throw new VmdkError('unsupported-extent', { file: path, reason });
    }
    if (magic[0] !== 0x23)
      throw new VmdkError('not-vmdk', { file: path, reason: 'it begins like no descriptor or extent' });
    const descriptor = await descriptorOfFile(file);
    const layer = await openListedExtents(path, descriptor, options);
    const renewContentId = () => replaceContentId(path, newContentId());
    return { path, layer, descriptor, identity: file.identity, renewContentId };
  } finally {
    if (!kept) await file.close();
  }
}

async function openListedExtents(path: string, descriptor: Descriptor, options: OpenDiskOptions): Promise<Layer> {
  expectOpenable(descriptor.createType, path);
  if (descriptor.extents.length === 0) throw new VmdkError('descriptor-invalid', { file: path, reason: 'no extents' });
  if (descriptor.extents.length > maximumExtents) {
    throw new VmdkError('descriptor-invalid', { file: path, reason: `more than ${maximumExtents} extents` });
  }
  const extents: PlacedExtent[] = [];
  try {
    for (const description of descriptor.extents) {
      const extent = await openExtent(description, {
        descriptorPath: path,
        writable: options.writable ?? false,
        ...(options.allowOutside ? { allowOutside: options.allowOutside } : {}),
        ...(options.onWarning ? { onWarning: options.onWarning } : {}),
      });
      const access = description.access === 'RW' ? 'RW' : 'RDONLY';
      extents.push({ extent, bytes: description.sectors * sectorBytes, access });
    }
  } catch (error) {
    await Promise.allSettled(extents.map(({ extent }) => extent.close()));
    throw error;
  }
  return new Layer(path, extents);
}

/** A disk that is one sparse file with its descriptor inside. Takes the file over. */
async function openSparseLayer(file: FileWindow, onWarning: OnWarning | undefined): Promise<OpenedLayer> {
  try {
    const header = await readSparseHeader(file);
    const descriptor = await embeddedDescriptor(file, header);
    if (!descriptor && file.writable) {
      const reason = 'it is an extent without a descriptor; open the descriptor that names it';
      throw new VmdkError('read-only', { file: file.path, reason });
    }
    const extent = await openSparse(file, header, onWarning);
    const layer = new Layer(file.path, [{ extent, bytes: extent.bytes, access: 'RW' }]);
    if (!descriptor) return { path: file.path, layer, identity: file.identity };
    const renewContentId = () =>
      replaceEmbeddedDescriptor(file, { descriptor: withContentId(descriptor, newContentId()) });
    return { path: file.path, layer, descriptor, identity: file.identity, renewContentId };
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** A root COWD extent is a disk by itself; a child is none without its parent. Takes the file over. */
async function openBareCowd(file: FileWindow, writable: boolean): Promise<OpenedLayer> {
  try {
    const { parentFileName } = await readCowdHeader(file);
    if (parentFileName !== undefined) {
      const reason = `it is a child of "${parentFileName.slice(0, 200)}"; open the descriptor that names it`;
      throw new VmdkError('unsupported-extent', { file: file.path, reason });
    }
    if (writable) throw new VmdkError('read-only', { file: file.path, reason: 'vmfsSparse extents are only read' });
    const extent = await openCowd(file);
    const layer = new Layer(file.path, [{ extent, bytes: extent.bytes, access: 'RDONLY' }]);
    return { path: file.path, layer, identity: file.identity };
  } catch (error) {
    await file.close();
    throw error;
  }
}
