import { type ConvertResult, type ConvertTarget, convertDisk } from '../../convert/convert-disk.ts';
import { openDisk } from '../../disk/open-disk.ts';
import { type OperationOptions, openingOptions } from '../operation-options.ts';
import { inheritedFields } from './inherited-fields.ts';

export interface FlattenOptions extends OperationOptions {
  /** Disk that is copied, with all its parents. */
  readonly path: string;
  /** The new disk. Adapter type and hardware version are those of the source where they are not given. */
  readonly target: ConvertTarget;
}

/**
 * Copies a disk and its parents into one new disk of a chosen kind, see `convertDisk`. The source is only read. The
 * target has its name when it is whole, and nothing of it stays when this fails or is aborted.
 */
export async function flattenDisk(options: FlattenOptions): Promise<ConvertResult> {
  const { path, target, signal, onProgress } = options;
  const source = await openDisk(path, openingOptions(options));
  try {
    return await convertDisk({
      source,
      target: { ...inheritedFields(source.descriptor), ...target },
      ...(signal ? { signal } : {}),
      ...(onProgress ? { onProgress } : {}),
    });
  } finally {
    await source.close();
  }
}
