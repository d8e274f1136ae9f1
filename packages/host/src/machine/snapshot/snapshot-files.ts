import { constants } from 'node:fs';
import { copyFile, link, open, rename } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { joinPath, splitPath } from '@hypostyle/services';
import type { Datastore } from '../../datastore/datastore.ts';
import { HostError } from '../../errors.ts';
import { maximumVmxBytes, type VmxFile } from '../../vmx/vmx-file.ts';
import { syncFolder } from '../files/machine-files.ts';
import { noSnapshots, type SnapshotList } from './snapshot-list.ts';
import { formatVmsd, parseVmsd } from './vmsd-file.ts';
import { formatVmsn, maximumVmsnBytes, parseVmsn, type SnapshotState } from './vmsn-file.ts';

/** Path of a machine's list of snapshots, beside its `.vmx`. */
export function vmsdPath(vmxPath: string): string {
  const { folder, name } = splitPath(vmxPath);
  return joinPath(folder, `${name.replace(/\.vmx$/i, '')}.vmsd`);
}

/** The list of a machine, empty where it has none, and the dictionary that it came from. Throws `snapshots-invalid`. */
export async function readVmsd(
  datastore: Datastore,
  vmxPath: string,
): Promise<{ readonly list: SnapshotList; readonly file?: VmxFile }> {
  const path = vmsdPath(vmxPath);
  const bytes = await readOwnFile(datastore, path, maximumVmxBytes);
  // VMware leaves an empty file where no snapshot was ever taken.
  if (bytes === undefined || bytes.length === 0) return { list: noSnapshots };
  return parseVmsd(bytes, datastore.format(path));
}

/** Writes the list durably and whole, keeping what else the file says. */
export async function writeVmsd(datastore: Datastore, vmxPath: string, list: SnapshotList): Promise<void> {
  const { file } = await readVmsd(datastore, vmxPath);
  await writeWhole(datastore.absolute(vmsdPath(vmxPath)), formatVmsd(list, file));
}

/** What a snapshot keeps. Throws `snapshots-invalid`. */
export async function readVmsn(datastore: Datastore, vmxPath: string, fileName: string): Promise<SnapshotState> {
  const path = joinPath(splitPath(vmxPath).folder, fileName);
  const bytes = await readOwnFile(datastore, path, maximumVmsnBytes);
  if (bytes === undefined) throw new HostError('snapshots-invalid', `${datastore.format(path)} is missing`);
  return parseVmsn(bytes, datastore.format(path));
}

export async function writeVmsn(
  datastore: Datastore,
  vmxPath: string,
  fileName: string,
  state: SnapshotState,
): Promise<void> {
  await writeWhole(datastore.absolute(joinPath(splitPath(vmxPath).folder, fileName)), formatVmsn(state));
}

/** A file of a machine's folder, which may have been brought: no link is followed. Undefined when there is none. */
export async function readOwnFile(datastore: Datastore, path: string, most: number): Promise<Buffer | undefined> {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  let handle: Awaited<ReturnType<typeof open>>;
  try {
    handle = await open(datastore.absolute(path), flags);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    const facts = await handle.stat();
    if (!facts.isFile()) throw new HostError('snapshots-invalid', `${datastore.format(path)} is no file`);
    if (facts.size > most)
      throw new HostError('snapshots-invalid', `${datastore.format(path)} has ${facts.size} bytes`);
    return await handle.readFile();
  } finally {
    await handle.close();
  }
}

/** Writes a file durably: a crash leaves the old one or the new one. */
export async function writeWhole(path: string, content: string | Uint8Array): Promise<void> {
  const temporary = join(dirname(path), `.hypo-${basename(path)}.partial`);
  const handle = await open(temporary, 'w', 0o644);
  try {
    await handle.writeFile(content);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(temporary, path);
  await syncFolder(dirname(path));
}

/** Gives a file that never changes a second name, or makes a copy where the file system has no such names. */
export async function shareFile(from: string, to: string): Promise<void> {
  try {
    await link(from, to);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'EEXIST' || code === 'ENOSPC') throw error;
    const temporary = join(dirname(to), `.hypo-${basename(to)}.partial`);
    await copyFile(from, temporary, constants.COPYFILE_FICLONE);
    await rename(temporary, to);
  }
  await syncFolder(dirname(to));
}
