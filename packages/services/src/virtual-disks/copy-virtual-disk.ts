import { mkdir, realpath, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { DiskCopying } from '@hypostyle/contracts';
import { convertDisk, openDisk } from '@hypostyle/vmdk';
import { copyMachineDisk } from '../disks/copy-machine-disk.ts';
import type { DiskChain } from '../disks/disk-chain.ts';
import { isBelow } from '../disks/open-disk-in-root.ts';
import type { DatastoreRoot } from '../files/datastore-root.ts';
import { checkFreeSpace } from '../files/free-space.ts';
import type { DiskForm } from './disk-form.ts';
import { type DiskMaking, makeStaged } from './staged-disk.ts';

export interface CopyVirtualDisk extends DiskMaking {
  /** Nobody may write it meanwhile. */
  readonly source: DiskChain;
  /** Datastore of the source. */
  readonly sourceRoot: DatastoreRoot;
  readonly form: DiskForm;
  readonly images: DiskCopying;
  /** Told how far it is, 0 to 1. */
  readonly onProgress?: (fraction: number) => void;
}

const standardHardware = 13;

/** Makes a disk that reads as another one, with all that it lies on, and has a UUID of its own. */
export async function copyVirtualDisk(copy: CopyVirtualDisk): Promise<void> {
  const { source, form, root, path } = copy;
  if (form.allocation === 'thick' || form.allocation === 'eager')
    await checkFreeSpace(root, path, source.capacityBytes);
  await makeStaged(copy, async (staged) => {
    const kinds = source.links.map(({ kind }) => kind);
    const stacked = kinds.some((kind) => kind === 'delta' || kind === 'settling');
    // Deltas are read by the engine's tools alone; formats of others are read here.
    if (form.kind === 'vmfs' && (stacked || !kinds.includes('foreign'))) await flatCopy(copy, staged, 1);
    else if (!stacked) await convert(copy, source.links[0].descriptorPath, staged);
    else {
      const between = join(dirname(staged), '.flat');
      await mkdir(between);
      const flat = join(between, 'flat.vmdk');
      await flatCopy({ ...copy, form: { ...form, kind: 'vmfs', allocation: 'thin' } }, flat, 0.5);
      await convert(copy, flat, staged, 0.5);
      await rm(between, { recursive: true });
    }
  });
}

async function flatCopy(copy: CopyVirtualDisk, path: string, part: number): Promise<void> {
  const { source, form, images, signal, onProgress } = copy;
  await copyMachineDisk({
    source,
    path,
    allocation: form.allocation ?? 'thin',
    adapter: form.adapter,
    hardwareVersion: hardwareVersionOf(source),
    images,
    signal,
    onProgress: (fraction) => onProgress?.(fraction * part),
  });
}

async function convert(copy: CopyVirtualDisk, from: string, path: string, begun = 0): Promise<void> {
  const { source, sourceRoot, root, form, signal, onProgress } = copy;
  const bases = await Promise.all([sourceRoot, root].map(({ directory }) => realpath(directory)));
  const { kind, allocation, adapter } = form;
  const disk = await openDisk(from, {
    allowOutside: (reference) => bases.some((base) => isBelow(base, reference.path)),
  });
  try {
    await convertDisk({
      source: disk,
      target: {
        path,
        kind,
        adapterType: adapter,
        hardwareVersion: hardwareVersionOf(source),
        ...(allocation === undefined ? {} : { allocation }),
      },
      signal,
      onProgress: ({ doneBytes, totalBytes }) =>
        onProgress?.(begun + ((1 - begun) * doneBytes) / Math.max(1, totalBytes)),
    });
  } finally {
    await disk.close();
  }
}

function hardwareVersionOf({ links }: DiskChain): number {
  const version = Number(links[0].descriptor.ddb.get('virtualHWVersion'));
  return Number.isInteger(version) && version > 0 && version < 1000 ? version : standardHardware;
}
