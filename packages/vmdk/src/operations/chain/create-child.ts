import { StagedFiles } from '../../convert/staged-files.ts';
import { createDisk } from '../../create/create-disk.ts';
import { openDisk } from '../../disk/open-disk.ts';
import { readRecord, unfinished } from '../../disk/operation-record.ts';
import { VmdkError } from '../../errors.ts';
import { refuseUnclean } from '../files/disk-files.ts';
import { type OperationOptions, openingOptions } from '../operation-options.ts';
import { inheritedFields } from './inherited-fields.ts';
import { type HintStyle, parentHint } from './parent-link.ts';

export interface CreateChildOptions extends Pick<OperationOptions, 'allowOutside'> {
  readonly path: string;
  /** Disk of any kind that is opened. It must not be written from now on: its child would be refused. */
  readonly parent: string;
  /** Default `monolithicSparse`. */
  readonly kind?: 'monolithicSparse' | 'twoGbMaxExtentSparse';
  /** How the parent is named. Default `relative`. */
  readonly hint?: HintStyle;
  /** At least the parent's capacity, which is the default. */
  readonly virtualBytes?: number;
  /** Power of two from 8192 to 2097152. Default 65536. */
  readonly grainBytes?: number;
  /** Lets zeros be marked without room of their own (header version 2). Default false. */
  readonly zeroedGrains?: boolean;
}

/**
 * Makes an empty child of a disk, as a snapshot does: writes go to the child from now on. The parent's whole chain is
 * checked first; `unclean` when somebody has it open for writing.
 */
export async function createChild(options: CreateChildOptions): Promise<void> {
  const { path, grainBytes, zeroedGrains } = options;
  const pending = await readRecord(options.parent);
  if (pending) throw unfinished(options.parent, pending);
  const parent = await openDisk(options.parent, openingOptions(options));
  await parent.close();
  const { descriptor, virtualBytes } = parent;
  if (!descriptor) throw new VmdkError('parent-missing', { file: path, reason: `${options.parent} has no CID` });
  await refuseUnclean(options.parent, openingOptions(options));
  const wanted = options.virtualBytes ?? virtualBytes;
  if (wanted < virtualBytes) {
    throw new VmdkError('size-invalid', { file: path, reason: `${wanted} bytes over a parent of ${virtualBytes}` });
  }
  const reference = {
    contentId: descriptor.contentId,
    fileNameHint: parentHint(path, options.parent, options.hint),
  };
  const staged = await StagedFiles.open(path);
  try {
    await createDisk({
      ...inheritedFields(descriptor),
      path: staged.path,
      kind: options.kind ?? 'monolithicSparse',
      virtualBytes: wanted,
      parent: reference,
      ...(grainBytes === undefined ? {} : { grainBytes }),
      ...(zeroedGrains === undefined ? {} : { zeroedGrains }),
    });
    await staged.place();
  } catch (error) {
    await staged.discard();
    throw error;
  }
}
