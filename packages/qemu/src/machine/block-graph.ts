import type { BlockLayer, DiskHardware } from '@hypostyle/contracts';
import { qemuErrors } from '../errors.ts';

/** One `-blockdev` as JSON. */
export type BlockNode = { readonly 'node-name': string } & { readonly [option: string]: unknown };

export interface DiskGraph {
  readonly nodes: readonly BlockNode[];
  /** Name of the node that the guest's device uses. */
  readonly top: string;
}

export interface DiskGraphOptions {
  readonly disk: DiskHardware;
  /** Position in the machine; part of every node name. */
  readonly index: number;
  /** The file system of the top layer takes O_DIRECT. */
  readonly directIo: boolean;
  /** Temporary qcow2 overlay that takes the writes of a disk with `discardWrites`. */
  readonly discardFile?: string;
}

/**
 * Every layer of a disk by name, base first, with its format and its backing said: nothing is left to what an image
 * says of itself. Only the top is opened for writing, and never in a format whose driver is not safe under a guest.
 */
export function diskGraph(options: DiskGraphOptions): DiskGraph {
  const { disk, index } = options;
  const own = options.discardFile
    ? [{ format: 'qcow2', path: options.discardFile } as const, ...disk.layers]
    : disk.layers;
  const top = own[0];
  if (!top) throw qemuErrors.unsupported(`Disk ${disk.id} has no layer.`);
  const writable = !disk.readOnly;
  if (writable && top.format === 'vmdk') {
    throw qemuErrors.unsupported(`Disk ${disk.id}: ${top.path} is VMDK, which can be read only; put a delta on top.`);
  }
  if (writable && top.offset !== undefined) {
    throw qemuErrors.unsupported(`Disk ${disk.id}: ${top.path} is part of a larger file; put a delta on top.`);
  }
  const nodes: BlockNode[] = [];
  let backing: string | null = null;
  for (let depth = own.length - 1; depth >= 0; depth -= 1) {
    const layer = own[depth] as BlockLayer;
    if (layer.format === 'raw' && backing !== null) {
      throw qemuErrors.unsupported(`Disk ${disk.id}: ${layer.path} is raw and cannot lie on another layer.`);
    }
    if (layer.changesPath !== undefined && (layer.format !== 'raw' || layer.offset !== undefined)) {
      throw qemuErrors.unsupported(`Disk ${disk.id}: what changes in ${layer.path} cannot be kept.`);
    }
    const name = `disk${index}-${depth}`;
    const layerWritable = writable && depth === 0;
    // A layer that the one above may be merged into: its file is opened for writing when that is asked.
    const mergeable =
      writable && depth > 0 && !options.discardFile && layer.format !== 'vmdk' && layer.offset === undefined;
    const { directIo } = options;
    nodes.push(...layerNodes({ layer, name, backing, writable: layerWritable, mergeable, directIo }));
    backing = name;
  }
  return { nodes, top: `disk${index}-0` };
}

/** The nodes of one layer, the node of its name last. */
export function layerNodes(options: {
  readonly layer: BlockLayer;
  readonly name: string;
  readonly backing: string | null;
  readonly writable: boolean;
  readonly mergeable: boolean;
  readonly directIo: boolean;
}): BlockNode[] {
  const { layer, name, backing, writable, mergeable } = options;
  const access = writable ? { 'read-only': false, discard: 'unmap' } : { 'read-only': true };
  const fileAccess = mergeable ? { 'read-only': false, 'auto-read-only': true, discard: 'unmap' } : access;
  const file: BlockNode = {
    driver: 'file',
    'node-name': `${name}-file`,
    filename: layer.path,
    ...fileAccess,
    // Only what the guest writes goes past the page cache: shared bases and archives gain from it.
    ...(writable && options.directIo ? { cache: { direct: true } } : {}),
  };
  const nodes = [file];
  if (layer.offset !== undefined || layer.length !== undefined) {
    nodes.push({
      driver: 'raw',
      'node-name': `${name}-slice`,
      file: `${name}-file`,
      offset: layer.offset ?? 0,
      ...(layer.length === undefined ? {} : { size: layer.length }),
      'read-only': true,
    });
  }
  if (layer.changesPath !== undefined) {
    const same = { ...access, ...(mergeable ? { discard: 'unmap' } : {}) };
    return [
      ...nodes,
      { driver: 'raw', 'node-name': `${name}-bytes`, file: `${name}-file`, ...same },
      { driver: 'file', 'node-name': `${name}-changes`, filename: layer.changesPath, ...fileAccess },
      {
        driver: 'qcow2',
        'node-name': name,
        file: `${name}-changes`,
        'data-file': `${name}-bytes`,
        backing: null,
        ...same,
      },
    ];
  }
  nodes.push({
    driver: layer.format,
    'node-name': name,
    file: nodes.at(-1)?.['node-name'],
    ...access,
    ...(mergeable ? { discard: 'unmap' } : {}),
    ...(layer.format === 'raw' ? {} : { backing }),
  });
  return nodes;
}

/** The image in a CD-ROM drive, or in a floppy drive, which the guest may write. */
export function imageNodes(name: string, path: string, readOnly: boolean): DiskGraph {
  const access = readOnly ? { 'read-only': true } : { 'auto-read-only': true };
  return {
    top: name,
    nodes: [
      { driver: 'file', 'node-name': `${name}-file`, filename: path, ...access },
      { driver: 'raw', 'node-name': name, file: `${name}-file`, ...access },
    ],
  };
}

/** The graph of a disk that no engine has, as one value with all layers in it. */
export function deepGraph([layer, ...below]: readonly [BlockLayer, ...BlockLayer[]]): object {
  const file = { driver: 'file', filename: layer.path };
  const sliced = layer.offset !== undefined || layer.length !== undefined;
  const size = layer.length === undefined ? {} : { size: layer.length };
  const bytes = sliced ? { driver: 'raw', offset: layer.offset ?? 0, ...size, file } : file;
  const [next, ...rest] = below;
  if (layer.changesPath !== undefined) {
    const changes = { driver: 'file', filename: layer.changesPath };
    return { driver: 'qcow2', file: changes, 'data-file': { driver: 'raw', file: bytes }, backing: null };
  }
  const backing = layer.format === 'raw' ? {} : { backing: next === undefined ? null : deepGraph([next, ...rest]) };
  return { driver: layer.format, file: bytes, ...backing };
}
