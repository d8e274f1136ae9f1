import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { BlockLayer } from '@hypostyle/contracts';
import {
  changeImagePath,
  type Descriptor,
  deltaCreateType,
  noParent,
  readAnyDescriptor,
  resolveReference,
  sectorBytes,
  settlingPlaces,
  VmdkError,
} from '@hypostyle/vmdk';

/** Longest chain that a machine may run on: a base, and 32 levels of snapshots. */
export const maximumChainLength = 33;

/** One disk of a chain: a descriptor and its extents. Paths are absolute on the host. */
export interface DiskLink {
  readonly descriptorPath: string;
  readonly descriptor: Descriptor;
  /** Extents, without the descriptor's own file where that is an extent too. */
  readonly extentPaths: readonly string[];
  /**
   * `flat`: raw bytes that the engine may write. `delta`: our own qcow2. `foreign`: somebody's sparse disk, a
   * read-only source. `settling`: our own qcow2 over a compressed source, or over the flat file made of it.
   */
  readonly kind: 'flat' | 'delta' | 'foreign' | 'settling';
  readonly layer: BlockLayer;
  /** Image beside a flat one that keeps what changed, where it is there. */
  readonly changesPath?: string;
  /** What `layer` lies on in the same disk: of a settling one, where its bytes are now. */
  readonly below?: BlockLayer;
}

/** A disk as its descriptors say, top first. */
export interface DiskChain {
  readonly links: readonly [DiskLink, ...DiskLink[]];
  readonly capacityBytes: number;
  readonly thin: boolean;
  readonly uuid: string | undefined;
}

export interface DiskChainOptions {
  /** Says whether a file outside the descriptor's folder may be used. Default: never. */
  readonly allowOutside?: (path: string) => boolean;
}

/**
 * Reads a disk's chain of descriptors without opening its data. Each parent must still have the CID that its child
 * recorded; every extent must be there.
 */
export async function readDiskChain(path: string, options: DiskChainOptions = {}): Promise<DiskChain> {
  const links: DiskLink[] = [];
  const seen = new Set<string>();
  for (let at: string | undefined = path; at !== undefined; ) {
    if (seen.has(at)) throw new VmdkError('chain-cycle', { file: path, reason: `${at} comes twice` });
    if (links.length >= maximumChainLength) {
      throw new VmdkError('chain-too-long', { file: path, reason: `more than ${maximumChainLength} disks` });
    }
    seen.add(at);
    const link = await readLink(at, options);
    const child = links.at(-1);
    if (child !== undefined && child.descriptor.parentContentId !== link.descriptor.contentId) {
      throw new VmdkError('parent-changed', {
        file: child.descriptorPath,
        reason: `its parent ${at} was written to after it was made`,
      });
    }
    links.push(link);
    at = parentPath(link, options);
  }
  const [top, ...rest] = links as [DiskLink, ...DiskLink[]];
  const base = rest.at(-1) ?? top;
  const sectors = top.descriptor.extents.reduce((sum, extent) => sum + extent.sectors, 0);
  return {
    links: [top, ...rest],
    capacityBytes: sectors * sectorBytes,
    thin: (base.kind !== 'flat' && base.kind !== 'settling') || base.descriptor.ddb.get('thinProvisioned') === '1',
    uuid: diskUuid(top.descriptor) ?? diskUuid(base.descriptor),
  };
}

/** Every layer of a disk's block graph, top first. */
export function chainLayers({ links }: DiskChain): BlockLayer[] {
  return links.flatMap(({ layer, below }) => (below === undefined ? [layer] : [layer, below]));
}

function diskUuid(descriptor: Descriptor): string | undefined {
  const digits = (descriptor.ddb.get('uuid') ?? '').toLowerCase().replace(/[^0-9a-f]/g, '');
  if (digits.length !== 32) return undefined;
  return digits.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

function parentPath({ descriptor, descriptorPath }: DiskLink, options: DiskChainOptions): string | undefined {
  if (descriptor.parentContentId === noParent) return undefined;
  if (!descriptor.parentFileNameHint) {
    throw new VmdkError('parent-missing', {
      file: descriptorPath,
      reason: 'parentCID is set, parentFileNameHint is not',
    });
  }
  return resolveReference(dirname(descriptorPath), descriptor.parentFileNameHint, {
    kind: 'parent',
    from: descriptorPath,
    allowOutside: (reference) => options.allowOutside?.(reference.path) ?? false,
  });
}

async function readLink(path: string, options: DiskChainOptions): Promise<DiskLink> {
  const { descriptor, isEmbedded } = await readAnyDescriptor(path);
  const extentPaths: string[] = [];
  for (const extent of descriptor.extents) {
    if (extent.file === undefined || isEmbedded) continue;
    const file = resolveReference(dirname(path), extent.file, {
      kind: 'extent',
      from: path,
      allowOutside: (reference) => options.allowOutside?.(reference.path) ?? false,
    });
    await checkExtent(path, file, extent);
    extentPaths.push(file);
  }
  const settling = await readSettling(path, descriptor, extentPaths[0]);
  if (settling !== undefined) return { descriptorPath: path, descriptor, ...settling };
  const kind = linkKind(descriptor);
  const single = extentPaths[0];
  if (kind === 'delta' && single !== undefined) {
    return { descriptorPath: path, descriptor, extentPaths, kind, layer: { format: 'qcow2', path: single } };
  }
  if (kind === 'flat' && single !== undefined) {
    const changesPath = await changeImageBeside(single);
    const layer: BlockLayer = { format: 'raw', path: single };
    return { descriptorPath: path, descriptor, extentPaths, kind, layer, ...(changesPath ? { changesPath } : {}) };
  }
  return { descriptorPath: path, descriptor, extentPaths, kind: 'foreign', layer: { format: 'vmdk', path } };
}

async function changeImageBeside(flatPath: string): Promise<string | undefined> {
  const path = changeImagePath(flatPath);
  return stat(path).then(
    () => path,
    () => undefined,
  );
}

/** A disk whose bytes still lie in its source; undefined for others. All of its files lie in its folder. */
async function readSettling(
  path: string,
  descriptor: Descriptor,
  overlay: string | undefined,
): Promise<Pick<DiskLink, 'extentPaths' | 'kind' | 'layer' | 'below'> | undefined> {
  const places = settlingPlaces(descriptor, path);
  if (places === undefined || overlay === undefined) return undefined;
  const { sourceName, flatName, offset, length } = places;
  const beside = (name: string) => resolveReference(dirname(path), name, { kind: 'extent', from: path });
  const file = beside(flatName ?? sourceName);
  const { size } = await stat(file).catch((cause: unknown) => {
    throw new VmdkError('extent-missing', { file: path, reason: `its source ${file} is missing`, cause });
  });
  const needed = flatName === undefined ? offset + length : 0;
  if (size < needed) {
    throw new VmdkError('extent-truncated', { file, reason: `${size} bytes where ${path} says ${needed}` });
  }
  const below: BlockLayer =
    flatName === undefined ? { format: 'vmdk', path: file, offset, length } : { format: 'raw', path: file };
  return { extentPaths: [overlay, file], kind: 'settling', layer: { format: 'qcow2', path: overlay }, below };
}

async function checkExtent(descriptorPath: string, file: string, extent: Descriptor['extents'][number]): Promise<void> {
  let bytes: number;
  try {
    bytes = (await stat(file)).size;
  } catch {
    throw new VmdkError('extent-missing', { file: descriptorPath, reason: `its extent ${file} is missing` });
  }
  const flat = extent.type === 'FLAT' || extent.type === 'VMFS';
  const needed = ((extent.offset ?? 0) + extent.sectors) * sectorBytes;
  if (flat && bytes < needed) {
    throw new VmdkError('extent-truncated', { file, reason: `${bytes} bytes where ${descriptorPath} says ${needed}` });
  }
}

/** One whole flat file from its first byte is what the engine can open as raw; anything else stays a read-only source. */
function linkKind(descriptor: Descriptor): DiskLink['kind'] {
  if (descriptor.createType === deltaCreateType) return 'delta';
  const [extent, ...more] = descriptor.extents;
  if (extent === undefined || more.length > 0 || extent.access !== 'RW') return 'foreign';
  const flat = extent.type === 'VMFS' || extent.type === 'FLAT';
  return flat && (extent.offset ?? 0) === 0 && descriptor.parentContentId === noParent ? 'flat' : 'foreign';
}
