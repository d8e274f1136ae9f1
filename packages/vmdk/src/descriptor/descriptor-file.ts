import { randomBytes } from 'node:crypto';
import { link, open, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { fileError, VmdkError } from '../errors.ts';
import { FileWindow } from '../file-window.ts';
import { type Descriptor, maximumDescriptorBytes, parseDescriptor } from './descriptor.ts';
import { decodeDescriptor, encodeDescriptor } from './descriptor-encoding.ts';

/** Reads a descriptor that is a file of its own; at most 1 MiB. */
export async function readDescriptor(path: string): Promise<Descriptor> {
  const file = await FileWindow.open(path);
  try {
    return await descriptorOfFile(file);
  } finally {
    await file.close();
  }
}

/** Descriptor in an open text file. */
export async function descriptorOfFile(file: FileWindow): Promise<Descriptor> {
  if (file.bytes > maximumDescriptorBytes) {
    throw new VmdkError('descriptor-too-large', { file: file.path, reason: `${file.bytes} bytes` });
  }
  return parseDescriptor(decodeDescriptor(await file.read(0, file.bytes), file.path), { file: file.path });
}

export interface WriteDescriptorOptions {
  /** Take the place of an existing file. Default: `exists` when there is one. */
  readonly replace?: boolean;
}

/** Writes a descriptor durably and atomically: temporary file, fsync, rename (or link), fsync of the folder. */
export async function writeDescriptor(
  path: string,
  descriptor: Descriptor,
  options: WriteDescriptorOptions = {},
): Promise<void> {
  const bytes = encodeDescriptor(descriptor, path);
  const temporary = temporaryBeside(path);
  let renamed = false;
  try {
    const mode = options.replace ? await modeOf(path) : 0o644;
    const handle = await open(temporary, 'wx', mode);
    try {
      await handle.chmod(mode);
      await handle.writeFile(bytes);
      await handle.sync();
    } finally {
      await handle.close();
    }
    if (options.replace) {
      await rename(temporary, path);
      renamed = true;
    } else await link(temporary, path);
    await syncFolder(dirname(path));
  } catch (error) {
    throw fileError(error, path);
  } finally {
    if (!renamed) await rm(temporary, { force: true });
  }
}

/** Name beside a file, of what is to take its name when it is whole. */
export function temporaryBeside(path: string): string {
  return join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}.tmp`);
}

/** Makes the names in a folder durable. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function modeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).mode & 0o777;
  } catch {
    return 0o644;
  }
}
