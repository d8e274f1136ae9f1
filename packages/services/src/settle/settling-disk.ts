import { dirname, join } from 'node:path';
import { type Descriptor, readDescriptor, type SettlingPlaces, sectorBytes, settlingPlaces } from '@hypostyle/vmdk';
import { settlingNames } from './new-settling-disk.ts';

/** A disk of a machine that is not a flat one yet. Paths are absolute. */
export interface SettlingDisk {
  /** As the engine knows it. */
  readonly id: string;
  readonly descriptorPath: string;
  readonly descriptor: Descriptor;
  readonly capacityBytes: number;
  readonly thin: boolean;
  readonly places: SettlingPlaces;
  /** Extent of the delta that lies on it, where one does. */
  readonly above?: string;
  readonly files: {
    readonly source: string;
    readonly overlay: string;
    readonly flat: string;
    readonly partial: string;
  };
}

/** Undefined for a disk that does not settle, or is gone. */
export async function settlingDisk(
  descriptorPath: string,
  id: string,
  above?: string,
): Promise<SettlingDisk | undefined> {
  let descriptor: Descriptor;
  let places: SettlingPlaces | undefined;
  try {
    descriptor = await readDescriptor(descriptorPath);
    places = settlingPlaces(descriptor, descriptorPath);
  } catch {
    return undefined;
  }
  if (places === undefined) return undefined;
  const beside = (name: string) => join(dirname(descriptorPath), name);
  const { flat, partial } = settlingNames(descriptorPath);
  return {
    id,
    descriptorPath,
    descriptor,
    capacityBytes: descriptor.extents.reduce((sum, extent) => sum + extent.sectors, 0) * sectorBytes,
    thin: descriptor.ddb.get('thinProvisioned') === '1',
    places,
    ...(above === undefined ? {} : { above }),
    files: {
      source: beside(places.sourceName),
      overlay: beside(places.overlayName),
      flat: beside(flat),
      partial: beside(partial),
    },
  };
}
