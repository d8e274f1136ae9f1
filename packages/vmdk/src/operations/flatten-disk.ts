import { type CreateDiskOptions, createDisk } from '../create/create-disk.ts';
import type { Descriptor } from '../descriptor/descriptor.ts';
import { type AdapterType, adapterTypes } from '../descriptor/geometry.ts';
import { openDisk } from '../disk/open-disk.ts';
import { copyBlocks } from './copy-blocks.ts';
import { type OperationOptions, openingOptions } from './operation-options.ts';
import { placeDisk } from './place-disk.ts';

export interface FlattenOptions extends OperationOptions {
  /** Disk that is copied, with all its parents. */
  readonly path: string;
  /** The new disk. Adapter type and hardware version are those of the source where they are not given. */
  readonly target: Omit<CreateDiskOptions, 'virtualBytes' | 'parent' | 'signal' | 'onProgress'>;
}

/**
 * Copies a disk and its parents into one new disk of a chosen kind; zeros take no room where the kind allows it. The
 * source is only read. The target has its name when it is whole, and nothing of it stays when this fails or is aborted.
 */
export async function flattenDisk(options: FlattenOptions): Promise<void> {
  const { path, target, signal, onProgress } = options;
  const source = await openDisk(path, openingOptions(options));
  try {
    await placeDisk(target.path, async (temporaryPath) => {
      await createDisk({
        ...inherited(source.descriptor),
        ...target,
        path: temporaryPath,
        virtualBytes: source.virtualBytes,
        ...(signal ? { signal } : {}),
      });
      const copy = await openDisk(temporaryPath, { writable: true });
      try {
        await copyBlocks(source, copy, { ...(signal ? { signal } : {}), ...(onProgress ? { onProgress } : {}) });
      } finally {
        await copy.close();
      }
    });
  } finally {
    await source.close();
  }
}

/** What a new disk keeps of another. */
export function inherited(
  descriptor: Descriptor | undefined,
): Pick<CreateDiskOptions, 'adapterType' | 'hardwareVersion'> {
  const adapterType = adapterTypes.find((type) => type === descriptor?.ddb.get('adapterType'));
  const hardwareVersion = Number(descriptor?.ddb.get('virtualHWVersion'));
  return {
    ...(adapterType ? { adapterType: adapterType satisfies AdapterType } : {}),
    ...(Number.isInteger(hardwareVersion) && hardwareVersion > 0 ? { hardwareVersion } : {}),
  };
}
