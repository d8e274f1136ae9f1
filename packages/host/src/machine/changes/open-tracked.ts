import { rm } from 'node:fs/promises';
import type { BlockLayer, ImageTool, LayerGenerations } from '@hypostyle/contracts';
import type { DiskChain } from '@hypostyle/services';
import type { Disk } from '../../configuration/machine-configuration.ts';
import type { MachineRecord } from '../record/machine-record.ts';
import { generationName, numberOf } from './change-id.ts';
import { newEpoch, type TrackedDisk, withClosed } from './tracked-disk.ts';
import { baseName, changeImageOf, isRecording, layersThrough, makeChangeImage } from './tracked-files.ts';

/** A disk that an engine is about to write. */
export interface OpenedDisk {
  readonly disk: Disk;
  /** As the engine gets it. */
  readonly chain: DiskChain;
  /** Nobody wrote it since the last engine ended. */
  readonly unchanged: boolean;
  /** The top was made just now, and is empty. */
  readonly fresh: boolean;
}

/** Generations of a layer that nobody can ask for any more are taken away once there are so many. */
const fewestForgotten = 8;

/**
 * Makes one disk ready to have its writes kept: by the generation that recorded last where its epoch goes on, else by
 * the first one of a new epoch. Undefined: it lies where it can have no image.
 */
export async function openTracked(
  images: ImageTool,
  machine: MachineRecord,
  { chain, unchanged, fresh }: OpenedDisk,
  before: TrackedDisk | undefined,
): Promise<{ readonly tracked: TrackedDisk; readonly layers: readonly BlockLayer[] } | undefined> {
  const bytes = chain.capacityBytes;
  const isKnown = before !== undefined && before.bytes === bytes;
  const isRaw = chain.links.length === 1;
  const image = changeImageOf(machine, chain);
  if (isRaw && image === undefined) return undefined;
  // An image says of blocks that they are zeros, too: where the flat file was written past it, a guest would read
  // zeros in place of what was written. So one is kept only where nothing was.
  const exists = image?.exists === true && isKnown && unchanged;
  if (image?.exists && !exists) await rm(image.path, { force: true });
  if (isRaw && image !== undefined && !exists) await makeChangeImage(images, image, bytes);
  const layers = layersThrough(chain, exists || isRaw ? image?.path : undefined);
  const [top] = layers;
  if (top === undefined) return undefined;
  const continued = isKnown && unchanged && before.epoch !== undefined ? before : undefined;
  const isWhole = continued !== undefined && !fresh && (await isRecording(images, layers, continued.generation));
  const tracked =
    continued !== undefined && (fresh || isWhole)
      ? withClosed(continued, undefined)
      : newEpoch(before, baseName(machine, chain), bytes);
  if (!isWhole) await images.beginGeneration(top, generationName(tracked.generation));
  await forget(images, top, tracked);
  return { tracked, layers };
}

async function forget(images: ImageTool, top: BlockLayer, tracked: TrackedDisk): Promise<void> {
  const [kept] = await images.generations([top]);
  const old = expired(kept, tracked);
  if (old.length > 0) await images.forgetGenerations(top, old);
}

/** Generations of a layer that no id is of any more, once there are some. */
export function expired(kept: LayerGenerations | undefined, { generation, epoch }: TrackedDisk): string[] {
  const oldest = epoch?.oldest ?? generation;
  const old = (kept?.generations ?? []).flatMap(({ name }) => (numberOf(name) < oldest ? [name] : []));
  return old.length < fewestForgotten ? [] : old;
}
