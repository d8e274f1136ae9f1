import { rm } from 'node:fs/promises';
import { basename, dirname, posix } from 'node:path';
import type { BlockLayer, ImageTool } from '@hypostyle/contracts';
import { chainLayers, changeImagePath, type DiskChain, readDiskChain, splitPath } from '@hypostyle/services';
import { diskPath } from '../files/machine-files.ts';
import type { DiskFacts, MachineRecord } from '../record/machine-record.ts';
import { generationName } from './change-id.ts';
import type { ChangeRecord } from './change-record.ts';
import { flatBase } from './trackable.ts';
import type { TrackedDisk } from './tracked-disk.ts';

type Place = Pick<MachineRecord, 'datastore' | 'vmxPath'>;

/** Absolute path of a machine's folder. */
export function folderOf({ datastore, vmxPath }: Place): string {
  return datastore.absolute(splitPath(vmxPath).folder);
}

/** A disk of a machine with its whole chain. */
export function chainOfDisk({ datastore, vmxPath }: Place, fileName: string): Promise<DiskChain> {
  return readDiskChain(diskPath(datastore, vmxPath, fileName), {
    allowOutside: (path) => datastore.holds(path),
  });
}

/**
 * What a record calls a disk: the descriptor of its base, relative to the machine's folder, or `/vmfs/volumes/<uuid>/…`
 * on another datastore.
 */
export function baseName(place: Place, chain: DiskChain): string {
  const base = chain.links.at(-1)?.descriptorPath;
  return base === undefined ? '' : nameOf(place, place.datastore.pathOf(base));
}

/** As `baseName`, of what is known of a disk. */
export function baseNameOf(place: Pick<MachineRecord, 'vmxPath'>, facts: DiskFacts | undefined): string {
  const base = facts?.chain.at(-1)?.[0];
  return base === undefined ? '' : nameOf(place, base);
}

function nameOf({ vmxPath }: Pick<MachineRecord, 'vmxPath'>, path: string): string {
  return path.startsWith('/') ? path : posix.relative(splitPath(vmxPath).folder, path);
}

export function findTracked(record: ChangeRecord, base: string): TrackedDisk | undefined {
  return record.find((disk) => disk.base === base);
}

/** The image through which a raw base is written. */
export interface ChangeImage {
  /** Absolute. */
  readonly path: string;
  /** Of the raw file beside it. */
  readonly fileName: string;
  readonly exists: boolean;
}

/**
 * The image of a chain's raw base, where that lies in the machine's own folder, or on another datastore beside what the
 * machine writes.
 */
export function changeImageOf(place: Place, chain: DiskChain): ChangeImage | undefined {
  const base = flatBase(chain);
  const flat = base?.layer.path;
  if (base === undefined || flat === undefined) return undefined;
  const folder = dirname(flat);
  const abroad = place.datastore.pathOf(flat).startsWith('/');
  if (folder !== (abroad ? dirname(chain.links[0].descriptorPath) : folderOf(place))) return undefined;
  return { path: changeImagePath(flat), fileName: basename(flat), exists: base.changesPath !== undefined };
}

/** Every layer of a disk, the raw base through its image where that is said. */
export function layersThrough(chain: DiskChain, changesPath: string | undefined): BlockLayer[] {
  const layers = chainLayers(chain);
  if (changesPath === undefined) return layers;
  return layers.map((layer, index) => (index === layers.length - 1 ? { ...layer, changesPath } : layer));
}

/** Every layer of a disk whose changes are known, the raw base through the image that is there. */
export function trackedLayers(place: Place, chain: DiskChain): BlockLayer[] {
  const image = changeImageOf(place, chain);
  return layersThrough(chain, image?.exists ? image.path : undefined);
}

export function makeChangeImage(
  images: Pick<ImageTool, 'createChangeLayer'>,
  { path, fileName }: ChangeImage,
  virtualBytes: number,
): Promise<void> {
  return images.createChangeLayer({ path, fileName, virtualBytes });
}

/** For those who have the disk to themselves. */
export async function removeChangeImage(place: Place, chain: DiskChain): Promise<void> {
  const image = changeImageOf(place, chain);
  if (image?.exists) await rm(image.path, { force: true });
}

/** Whether the top layer of a disk that no engine has takes what is written to it in that generation. */
export async function isRecording(
  images: Pick<ImageTool, 'generations'>,
  layers: readonly BlockLayer[],
  generation: number,
): Promise<boolean> {
  const name = generationName(generation);
  // A layer that cannot be read is taken for one that records nothing: the epoch ends.
  const [top] = await images.generations(layers.slice(0, 1)).catch(() => []);
  const found = top?.generations.find((one) => one.name === name);
  return found?.recording === true && found.consistent;
}
