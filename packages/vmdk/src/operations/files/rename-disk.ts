import { link, lstat, rm } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, relative, resolve } from 'node:path';
import type { Descriptor } from '../../descriptor/descriptor.ts';
import { type DescriptorChanges, editDescriptor } from '../../descriptor/descriptor-edit.ts';
import { syncFolder, writeDescriptor } from '../../descriptor/descriptor-file.ts';
import { readRecord, unfinished } from '../../disk/operation-record.ts';
import { fileError, VmdkError } from '../../errors.ts';
import { changeImagesOf } from '../../flat/change-image.ts';
import { type ChildrenOptions, findChildren } from '../chain/children.ts';
import type { OperationOptions } from '../operation-options.ts';
import { changeDescriptor, findDescriptor } from './disk-descriptor.ts';
import { extentFiles } from './disk-files.ts';

export type RenameDiskOptions = Pick<OperationOptions, 'allowOutside'> & ChildrenOptions;

/** A file of the disk under both names. */
interface Move {
  readonly from: string;
  readonly to: string;
  /** What the descriptor calls it from now on. */
  readonly name: string;
}

/**
 * Gives a disk another name, with all its extents: those named after the disk are renamed with it. Both names must be
 * on one file system that has hard links. Children in the same folder, and in those named, follow.
 *
 * Every file gets its second name before the first goes, the new descriptor comes last and the old one goes last: at
 * each moment one of the two names is the whole disk, and the same call made again finishes what a kill cut off.
 * Throws `extent-missing` with the file, `exists` when the new name is taken, `operation-pending`.
 */
export async function renameDisk(from: string, to: string, options: RenameDiskOptions = {}): Promise<void> {
  const record = await readRecord(from);
  if (record) throw unfinished(from, record);
  const { descriptor, header } = await findDescriptor(from);
  const children = await findChildren(from, options);
  const changes = descriptorChanges(descriptor, from, to);
  if (header) {
    await linkFile({ from: resolve(from), to: resolve(to), name: basename(to) }, 'io-failed');
    await syncFolder(dirname(to));
    const extents = descriptor.extents.map((extent) => ({ ...extent, file: basename(to) }));
    // Done already where a kill came after it: then the hint is the new one.
    if (descriptor.extents[0]?.file !== basename(to) || dirname(from) === dirname(to)) {
      await changeDescriptor(to, (found) => editDescriptor(found, { ...changes, extents }));
    }
    await moveChildren(children, to);
    await removeOld([resolve(from)]);
    return;
  }
  const moves = await extentMoves(descriptor, from, to, options);
  await refuseMissing(moves, from, to);
  const linked: string[] = [];
  try {
    for (const move of moves) if (await linkFile(move, 'extent-missing')) linked.push(move.to);
    await syncFolder(dirname(to));
    await placeDescriptor(descriptor, from, to, { ...changes, extents: renamedExtents(descriptor, moves, from) });
  } catch (error) {
    for (const file of linked) await rm(file, { force: true });
    throw error;
  }
  await moveChildren(children, to);
  const old = moves.filter((move) => move.from !== move.to).map((move) => move.from);
  // What is kept of its changes is kept under its name, and over with that.
  await removeOld([...changeImagesOf(old), ...new Set(old), resolve(from)]);
}

/** What else a descriptor says of places. */
function descriptorChanges(descriptor: Descriptor, from: string, to: string): DescriptorChanges {
  const hint = descriptor.parentFileNameHint;
  if (hint === undefined || isAbsolute(hint) || resolve(dirname(from)) === resolve(dirname(to))) return {};
  return { parentFileNameHint: relative(resolve(dirname(to)), resolve(dirname(from), hint)) };
}

async function extentMoves(
  descriptor: Descriptor,
  from: string,
  to: string,
  options: RenameDiskOptions,
): Promise<Move[]> {
  const [oldFolder, newFolder] = [resolve(dirname(from)), resolve(dirname(to))];
  const [oldStem, newStem] = [stemOf(from), stemOf(to)];
  const allowing = options.allowOutside ? { allowOutside: options.allowOutside } : {};
  return (await extentFiles(from, allowing)).map(({ path, index }) => {
    const written = descriptor.extents[index]?.file as string;
    // What lies elsewhere stays there.
    if (dirname(path) !== oldFolder) {
      const name = isAbsolute(written) ? written : relative(newFolder, path);
      return { from: path, to: path, name };
    }
    const name = basename(path).startsWith(`${oldStem}-`)
      ? newStem + basename(path).slice(oldStem.length)
      : basename(path);
    return { from: path, to: join(newFolder, name), name };
  });
}

function renamedExtents(descriptor: Descriptor, moves: readonly Move[], from: string): Descriptor['extents'] {
  const names = new Map(moves.map((move) => [move.from, move.name]));
  const folder = resolve(dirname(from));
  return descriptor.extents.map((extent) => {
    const name = extent.file === undefined ? undefined : names.get(resolve(folder, extent.file));
    return name === undefined ? extent : { ...extent, file: name };
  });
}

function stemOf(path: string): string {
  return basename(path).replace(/\.vmdk$/i, '');
}

/** Each extent must be there, under its old name or, where an earlier call was cut off, its new one. */
async function refuseMissing(moves: readonly Move[], from: string, to: string): Promise<void> {
  const finishing = await exists(to);
  for (const move of moves) {
    if ((await exists(move.from)) || (finishing && (await exists(move.to)))) continue;
    throw new VmdkError('extent-missing', { file: from, reason: `${move.from} does not exist` });
  }
}

/** Gives a file its second name; false where it has it. Another file under that name is `exists`. */
async function linkFile(move: Move, missing: 'io-failed' | 'extent-missing'): Promise<boolean> {
  if (move.from === move.to) return false;
  const there = await lstat(move.to).catch(() => undefined);
  if (there) {
    const source = await lstat(move.from).catch(() => undefined);
    // Its first name went before an earlier call was cut off.
    if (!source || (source.dev === there.dev && source.ino === there.ino)) return false;
    throw new VmdkError('exists', { file: move.to, reason: 'there is another file of this name' });
  }
  try {
    await link(move.from, move.to);
    return true;
  } catch (error) {
    throw fileError(error, move.to, missing);
  }
}

/** Writes the new descriptor, or finds that an earlier call did. */
async function placeDescriptor(
  descriptor: Descriptor,
  from: string,
  to: string,
  changes: DescriptorChanges,
): Promise<void> {
  const wanted = editDescriptor(descriptor, changes);
  if (await exists(to)) {
    const found = await findDescriptor(to);
    if (!found.header && found.descriptor.lines.join('\n') === wanted.lines.join('\n')) return;
    throw new VmdkError('exists', { file: to, reason: `there is another disk of this name; ${from} stays` });
  }
  await writeDescriptor(to, wanted);
}

async function moveChildren(children: readonly string[], to: string): Promise<void> {
  for (const child of children) {
    const parentFileNameHint = relative(resolve(dirname(child)), resolve(to));
    await changeDescriptor(child, (descriptor) => editDescriptor(descriptor, { parentFileNameHint }));
  }
}

async function removeOld(files: readonly string[]): Promise<void> {
  for (const file of files) {
    try {
      await rm(file, { force: true });
    } catch (error) {
      throw fileError(error, file);
    }
  }
  await syncFolder(dirname(files.at(-1) as string));
}

async function exists(path: string): Promise<boolean> {
  return (await lstat(path).catch(() => undefined)) !== undefined;
}
