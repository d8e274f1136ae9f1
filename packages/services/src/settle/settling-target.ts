import { rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { ImageTool } from '@hypostyle/contracts';
import { fault } from '@hypostyle/vim';
import { isStreamOptimized, verifyStream } from '@hypostyle/vmdk';
import { type DiskUpload, diskUploadTarget } from '../disks/disk-upload.ts';
import { fileFault } from '../errors.ts';
import { resolveInRoot, shownPath } from '../files/datastore-root.ts';
import { syncFolder } from '../files/durable-rename.ts';
import type { LocalContent, ReceiveOptions, TransferTarget } from '../leases/transfer-target.ts';
import { asDamage, DiskDamage } from './disk-damage.ts';
import { createSettlingDisk, settlingNames } from './new-settling-disk.ts';
import { removeRecord, writeRecord } from './settle-record.ts';
import { bringSource, fileIdentity } from './source-file.ts';

export interface SettlingTargetOptions {
  /** Checked before the disk is there, or while its machine runs. */
  readonly verify: 'before' | 'background';
  readonly images: ImageTool;
}

/** A digest over so much is known in a fraction of a second: it is always checked before. */
const quickBytes = 32 * 2 ** 20;

/**
 * A lease's target that receives a disk, or takes it from a file of this computer: a compressed one is then a disk at
 * once, and is settled later.
 */
export function settlingTarget(
  target: Parameters<typeof diskUploadTarget>[0],
  upload: DiskUpload,
  options: SettlingTargetOptions,
): TransferTarget {
  return {
    ...diskUploadTarget(target, upload),
    adopt: (content, receiving) => adoptDisk(upload, content, options, receiving),
  };
}

/** Makes a disk of one that lies in a file of this computer. False: it is of a kind that has to be inflated first. */
async function adoptDisk(
  upload: DiskUpload,
  content: LocalContent,
  { verify, images }: SettlingTargetOptions,
  { signal, onBytes }: ReceiveOptions,
): Promise<boolean> {
  const { root, path } = upload;
  if (!(await isStreamOptimized(content))) return false;
  const full = await resolveInRoot(root, path);
  const source = join(dirname(full), settlingNames(full).source);
  const quick = content.digest !== undefined && content.length <= quickBytes;
  if (verify === 'before' || quick) await verified(content, shownPath(root, path), { signal, onBytes });
  let brought = false;
  try {
    const { offset } = await bringSource({
      from: content.path,
      to: source,
      offset: content.offset,
      length: content.length,
      signal,
      onBytes,
    });
    brought = true;
    await writeRecord(full, {
      source: content.name,
      identity: await fileIdentity(source),
      ...(content.digest === undefined ? {} : { digest: content.digest }),
    });
    await createSettlingDisk({
      ...upload,
      offset,
      length: content.length,
      sourceName: content.name,
      images,
    });
    await syncFolder(dirname(full));
    return true;
  } catch (error) {
    if (brought) await rm(source, { force: true });
    await removeRecord(full);
    if (signal.aborted) throw signal.reason;
    throw fileFault(error, shownPath(root, path), root.name);
  }
}

/** Throws IncorrectFileType, whose words name file, byte and block. */
async function verified(
  { digest, ...place }: LocalContent,
  file: string,
  { signal, onBytes }: ReceiveOptions,
): Promise<void> {
  try {
    await verifyStream(place, { ...(digest === undefined ? {} : { digest }), signal, onProgress: () => onBytes(0) });
  } catch (error) {
    const damage = asDamage(error);
    if (!(damage instanceof DiskDamage)) throw error;
    throw fault('IncorrectFileType', { file }, `${damage.message}.`, { cause: error });
  }
}
