import { randomBytes } from 'node:crypto';
import { readdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { DiskHardware, MachineHardware } from '@hypostyle/contracts';
import { takesDirectIo } from '../blocks/snapshot-disks.ts';
import { createImage, inspectImage } from '../image/image-tool.ts';

const discardPattern = /^\.discard-[A-Za-z0-9._-]+-[0-9a-f]{8}\.qcow2$/;

/** Ids of the disks whose writable layer is on a file system that takes O_DIRECT. */
export async function disksWithDirectIo(hardware: MachineHardware): Promise<Set<string>> {
  const takes = await Promise.all(hardware.disks.map((disk) => writesDirectly(disk)));
  return new Set(hardware.disks.filter((_, index) => takes[index]).map(({ id }) => id));
}

async function writesDirectly(disk: DiskHardware): Promise<boolean> {
  const path = disk.layers[0]?.path;
  return path !== undefined && !disk.readOnly && !disk.discardWrites && (await takesDirectIo(path));
}

/** Makes the overlays that take the writes of disks with `discardWrites`, beside the lock, by disk id. */
export async function createDiscardFiles(hardware: MachineHardware, lockPath: string): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  try {
    for (const disk of hardware.disks) {
      const top = disk.layers[0];
      if (!disk.discardWrites || disk.readOnly || !top) continue;
      const { virtualBytes } = await inspectImage(top);
      const path = join(dirname(lockPath), `.discard-${disk.id}-${randomBytes(4).toString('hex')}.qcow2`);
      await createImage(path, { virtualBytes: Math.ceil(virtualBytes / 512) * 512 });
      files.set(disk.id, path);
    }
    return files;
  } catch (error) {
    await removeFiles(files.values());
    throw error;
  }
}

/** The overlays of a suspended machine, as its memory image names them. */
export function keptDiscardFiles(hardware: MachineHardware, paths: readonly string[]): Map<string, string> {
  const kept = new Map<string, string>();
  for (const { id } of hardware.disks) {
    const path = paths.find((candidate) => candidate.includes(`/.discard-${id}-`));
    if (path !== undefined) kept.set(id, path);
  }
  return kept;
}

/** Removes what a crash of an earlier start left; only for whoever holds the machine's lock. */
export async function removeStaleDiscardFiles(lockPath: string, keep: Iterable<string>): Promise<void> {
  const kept = new Set(keep);
  const folder = dirname(lockPath);
  const stale = (await readdir(folder)).filter((name) => discardPattern.test(name)).map((name) => join(folder, name));
  await removeFiles(stale.filter((path) => !kept.has(path)));
}

export async function removeFiles(paths: Iterable<string>): Promise<void> {
  for (const path of paths) await rm(path, { force: true }).catch(() => {});
}
