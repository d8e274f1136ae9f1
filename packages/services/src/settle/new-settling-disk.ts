import { rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { ImageTool } from '@hypostyle/contracts';
import {
  type AdapterType,
  flatNameOf,
  readStreamTables,
  settlingDescriptor,
  VmdkError,
  writeDescriptor,
} from '@hypostyle/vmdk';
import { deltaExtentName } from '../disks/delta.ts';
import { diskFault } from '../disks/disk-faults.ts';
import { type DatastoreRoot, resolveInRoot } from '../files/datastore-root.ts';

/** Names of what a disk has beside its descriptor while it settles. */
export interface SettlingNames {
  /** Compressed file that the disk came in; hidden from clients. */
  readonly source: string;
  /** qcow2 image with what is written meanwhile. */
  readonly overlay: string;
  readonly flat: string;
  /** The flat file until it is whole; hidden. */
  readonly partial: string;
}

export function settlingNames(descriptorPath: string): SettlingNames {
  const stem = basename(descriptorPath).replace(/\.vmdk$/i, '');
  const flat = flatNameOf(descriptorPath);
  return {
    source: `${stem}-source.partial`,
    overlay: deltaExtentName(descriptorPath),
    flat,
    partial: `${flat}.partial`,
  };
}

export interface NewSettlingDisk {
  readonly root: DatastoreRoot;
  /** Where the descriptor goes, such as `web/web.vmdk`; the source lies beside it already. */
  readonly path: string;
  readonly capacityBytes: number;
  readonly provisioning: 'thin' | 'thick';
  readonly adapterType?: AdapterType;
  readonly hardwareVersion?: number;
  /** The disk within its source. */
  readonly offset: number;
  readonly length: number;
  /** How the source is called in errors. */
  readonly sourceName: string;
  readonly images: ImageTool;
}

/**
 * Makes a disk of a streamOptimized one that lies in a file, at once, whatever its size: an engine reads it there, and
 * what it writes goes to an image on top. Nothing but the source stays when it fails. Throws the faults of files,
 * IncorrectFileType for what is no such disk or too large.
 */
export async function createSettlingDisk(disk: NewSettlingDisk): Promise<void> {
  const { root, path, capacityBytes, offset, length, sourceName, images } = disk;
  const full = await resolveInRoot(root, path);
  const names = settlingNames(full);
  const source = join(dirname(full), names.source);
  const overlay = join(dirname(full), names.overlay);
  let made = false;
  try {
    const { virtualBytes } = await readStreamTables({ path: source, offset, length, name: sourceName });
    if (virtualBytes > capacityBytes) {
      const reason = `${virtualBytes} bytes, ${capacityBytes} expected`;
      throw new VmdkError('capacity-exceeded', { file: sourceName, reason });
    }
    const backing = { format: 'vmdk', path: source, offset, length, relativePath: names.source } as const;
    await images.createDelta({ path: overlay, virtualBytes: capacityBytes, backing });
    made = true;
    const descriptor = settlingDescriptor({
      virtualBytes: capacityBytes,
      overlayName: names.overlay,
      sourceName: names.source,
      offset,
      length,
      thin: disk.provisioning === 'thin',
      ...(disk.adapterType === undefined ? {} : { adapterType: disk.adapterType }),
      ...(disk.hardwareVersion === undefined ? {} : { hardwareVersion: disk.hardwareVersion }),
    });
    await writeDescriptor(full, descriptor);
  } catch (error) {
    if (made) await rm(overlay, { force: true });
    throw diskFault(error, root, path);
  }
}
