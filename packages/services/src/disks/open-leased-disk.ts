import { realpath } from 'node:fs/promises';
import type { DiskExport, ImageTool } from '@hypostyle/contracts';
import { type ChangeMap, type NbdDisk, openNbdDisk } from '@hypostyle/vmdk';
import { type DatastoreRoot, resolveInRoot } from '../files/datastore-root.ts';
import type { LeasedDisk } from '../leases/transfer-target.ts';
import { renewContentId } from './delta.ts';
import { chainLayers, readDiskChain } from './disk-chain.ts';
import { diskFault } from './disk-faults.ts';
import { isBelow, openDiskInRoot } from './open-disk-in-root.ts';

export interface LeasedDiskPlace {
  readonly root: DatastoreRoot;
  readonly path: string;
  /** Reads the layers that only the engine's own tools understand. */
  readonly images: Pick<ImageTool, 'exportDisk'>;
  /** A name for a socket that is free. */
  readonly socketPath: () => string;
  /** Default: for reading. A writer gives the disk a new CID. */
  readonly writable?: boolean;
  /** Told to the disk's clients. */
  readonly changeMaps?: readonly ChangeMap[];
}

/** Opens a disk that no engine writes, its whole chain as one, also where layers of it are not VMDK. Throws faults. */
export async function openLeasedDisk(place: LeasedDiskPlace): Promise<LeasedDisk> {
  const { root, path, writable = false, changeMaps = [] } = place;
  const full = await resolveInRoot(root, path);
  const base = await realpath(root.directory);
  try {
    const chain = await readDiskChain(full, { allowOutside: (file) => isBelow(base, file) });
    if (chain.links.every(({ kind }) => kind !== 'delta' && kind !== 'settling')) {
      const disk = await openDiskInRoot(root, path, { writable });
      return { disk, writable, changeMaps, close: () => disk.close() };
    }
    // What names the disk is durable before the first write.
    if (writable) await renewContentId(chain);
    const layers = chainLayers(chain);
    const exported = await place.images.exportDisk({ layers, socketPath: place.socketPath(), writable });
    return await openExportedDisk(exported, { writable, changeMaps });
  } catch (error) {
    throw diskFault(error, root, path);
  }
}

export interface OpenExportedDisk {
  /** Default: for reading. */
  readonly writable?: boolean;
  /** Told to the disk's clients. */
  readonly changeMaps?: readonly ChangeMap[];
  /** Generations of changed blocks that the export tells. */
  readonly generations?: readonly string[];
}

/** A disk that a server of ours lets be read. */
export interface ExportedDisk extends LeasedDisk {
  readonly disk: NbdDisk;
}

/** A disk that somebody else's server lets be read; closing it ends the export. */
export async function openExportedDisk(
  exported: DiskExport,
  { writable = false, changeMaps = [], generations = [] }: OpenExportedDisk = {},
): Promise<ExportedDisk> {
  try {
    const options = { writable, changeMaps: generations };
    const disk = await openNbdDisk({ socketPath: exported.socketPath }, exported.exportName, options);
    const close = async () => {
      try {
        await disk.close();
      } finally {
        await exported.close();
      }
    };
    return { disk, writable, changeMaps, close };
  } catch (error) {
    await exported.close();
    throw error;
  }
}
