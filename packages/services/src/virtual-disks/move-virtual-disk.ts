import { mkdir, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { DiskCopying } from '@hypostyle/contracts';
import { deleteDisk, renameDisk, thickenDisk } from '@hypostyle/vmdk';
import type { DiskChain } from '../disks/disk-chain.ts';
import { faults } from '../errors.ts';
import { type DatastoreRoot, resolveInRoot, shownPath } from '../files/datastore-root.ts';
import { checkOrdinaryPath } from '../files/file-upload.ts';
import { checkFreeSpace } from '../files/free-space.ts';
import { isThere } from './is-there.ts';
import { type DiskMaking, makeStaged } from './staged-disk.ts';
import { virtualDiskFault } from './virtual-disk-faults.ts';

export interface MoveVirtualDisk extends DiskMaking {
  /** Nobody may use it meanwhile. */
  readonly source: DiskChain;
  readonly sourceRoot: DatastoreRoot;
  readonly images: DiskCopying;
  /** Told how far it is, 0 to 1. */
  readonly onProgress?: (fraction: number) => void;
  /** From now on `finishRename` ends it. Durable when it resolves. */
  renaming(): Promise<void>;
  /** The disk is whole in its new place: from now on `deleteMoved` ends it. Durable when it resolves. */
  moved(): Promise<void>;
}

/**
 * Gives a disk another name or folder, with its extents; within one file system no byte of it is copied. It stays the
 * same disk: UUID, CID and kind. Throws NotSupported for one that stands on another, FileAlreadyExists.
 */
export async function moveVirtualDisk(move: MoveVirtualDisk): Promise<void> {
  const { source, sourceRoot, root, path, replace } = move;
  const [link] = source.links;
  const from = link.descriptorPath;
  if (source.links.length > 1 || link.kind === 'delta' || link.kind === 'settling')
    throw faults.notSupported(
      `${shownPath(sourceRoot, from.slice(sourceRoot.directory.length + 1))} stands on another disk and is not moved by itself; copy it.`,
    );
  checkOrdinaryPath(root, path);
  const to = await resolveInRoot(root, path);
  if (to === from) throw faults.invalidPath(shownPath(root, path), 'it is the source itself');
  if (!replace && (await isThere(to))) throw faults.exists(shownPath(root, path));
  const [here, there] = await Promise.all([from, dirname(to)].map((each) => stat(each)));
  if (here?.dev === there?.dev) await rename(move, from, to);
  else await copyOver(move, from);
}

/** Deletes what was moved, where it was; the same call made again finishes it. */
export async function deleteMoved(from: string): Promise<void> {
  if (await isThere(from)) await deleteDisk(from, { incomplete: true });
}

/** Goes on with a renaming that was cut off; nothing is left to be done where the old name is gone. */
export async function finishRename(from: string, to: string): Promise<void> {
  if (await isThere(from)) await renameDisk(from, to, { childFolders: [dirname(from)] });
}

async function rename(move: MoveVirtualDisk, from: string, to: string): Promise<void> {
  const { root, path, replace } = move;
  try {
    if (replace && (await isThere(to))) await deleteDisk(to, { incomplete: true });
    await move.renaming();
    await finishRename(from, to);
  } catch (error) {
    throw virtualDiskFault(error, root, path);
  }
}

async function copyOver(move: MoveVirtualDisk, from: string): Promise<void> {
  const { source, root, path, images, signal, onProgress } = move;
  const [link] = source.links;
  const files = [...new Set([from, ...link.extentPaths])];
  if (files.some((file) => dirname(file) !== dirname(from)))
    throw faults.notSupported('A disk whose files lie in several folders is not moved to another datastore.');
  const sizes = await Promise.all(files.map(async (file) => (await stat(file)).blocks * 512));
  const total = Math.max(
    1,
    sizes.reduce((sum, size) => sum + size, 0),
  );
  const thick = link.kind === 'flat' && !source.thin;
  await checkFreeSpace(root, path, thick ? source.capacityBytes : total);
  await makeStaged(move, async (staged) => {
    // Under its old name first: its descriptor names its files.
    const between = join(dirname(staged), '.from');
    await mkdir(between);
    let done = 0;
    for (const [index, file] of files.entries()) {
      const size = sizes[index] ?? 0;
      await images.copyDisk({
        layers: [{ format: 'raw', path: file }],
        path: join(between, basename(file)),
        signal,
        onProgress: (fraction) => onProgress?.((0.95 * (done + size * fraction)) / total),
      });
      done += size;
    }
    await renameDisk(join(between, basename(from)), staged);
    await rm(between, { recursive: true });
    // Holes were copied as holes.
    if (thick) await thickenDisk({ path: staged, allocation: 'thick', signal });
  });
  await move.moved();
  await deleteMoved(from);
}
