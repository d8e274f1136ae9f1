import { createDisk } from '@hypostyle/vmdk';
import { checkFreeSpace } from '../files/free-space.ts';
import type { DiskForm } from './disk-form.ts';
import { type DiskMaking, makeStaged } from './staged-disk.ts';

export interface CreateVirtualDisk extends DiskMaking {
  /** A multiple of 512. */
  readonly capacityBytes: number;
  readonly form: DiskForm;
  /** Told how far it is, 0 to 1. */
  readonly onProgress?: (fraction: number) => void;
}

/** Makes an empty disk of any kind. Throws FileAlreadyExists, FileNotFound for its folder, NoDiskSpace. */
export async function createVirtualDisk(creation: CreateVirtualDisk): Promise<void> {
  const { capacityBytes, form, signal, onProgress } = creation;
  const { kind, allocation, adapter } = form;
  if (allocation === 'thick' || allocation === 'eager')
    await checkFreeSpace(creation.root, creation.path, capacityBytes);
  await makeStaged(creation, async (path) => {
    await createDisk({
      path,
      kind,
      virtualBytes: capacityBytes,
      adapterType: adapter,
      ...(allocation === undefined ? {} : { allocation }),
      signal,
      onProgress: ({ doneBytes, totalBytes }) => onProgress?.(doneBytes / Math.max(1, totalBytes)),
    });
  });
}
