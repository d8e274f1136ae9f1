import { access, mkdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type SettlePace, type StreamPlace, settleStream, verifyStream } from '@hypostyle/vmdk';
import { asDamage, DiskDamage } from './disk-damage.ts';
import { readRecord, recordPaths, type SettleRecord, writeRecord } from './settle-record.ts';
import { asNoRoom, checkRoom } from './settle-room.ts';
import type { SettlingDisk } from './settling-disk.ts';
import { type FileIdentity, fileIdentity, sameFile } from './source-file.ts';

/** Milliseconds between looks at whether the source is still what it was, and whether there is room. */
const lookInterval = 500;

/** The disk's record; one is begun for a disk that came without it. */
export async function recordOf(disk: SettlingDisk): Promise<SettleRecord> {
  const known = await readRecord(disk.descriptorPath);
  return known ?? { source: disk.places.sourceName, identity: await fileIdentity(disk.files.source) };
}

export function placeOf(disk: SettlingDisk, { source: name }: SettleRecord): StreamPlace {
  return { path: disk.files.source, offset: disk.places.offset, length: disk.places.length, name };
}

/**
 * Makes sure that a disk's source is what it was, or else what its digest says. Throws `DiskDamage` for one that was
 * found damaged and is the same still, or that was changed and says nothing by which it could be checked.
 */
export async function checkSource(disk: SettlingDisk, signal?: AbortSignal): Promise<SettleRecord> {
  const record = await recordOf(disk);
  if (disk.places.flatName !== undefined) return record;
  const identity = await fileIdentity(disk.files.source);
  const same = sameFile(identity, record.identity);
  if (same) {
    if (record.damage !== undefined) throw new DiskDamage(record.damage);
    return record;
  }
  if (record.digest === undefined) {
    throw new DiskDamage(
      `${record.source} was changed after the disk was made of it, and has no digest to check it by`,
    );
  }
  await verifyStream(placeOf(disk, record), { digest: record.digest, ...(signal ? { signal } : {}) }).catch(
    (error: unknown) => {
      throw asDamage(error);
    },
  );
  const { damage: _gone, inflated: _anew, ...kept } = record;
  const next: SettleRecord = { ...kept, identity };
  await writeRecord(disk.descriptorPath, next);
  return next;
}

export interface InflateDisk {
  readonly pace: SettlePace;
  readonly signal: AbortSignal;
  readonly onProgress: (doneBytes: number) => void;
}

/**
 * Brings all of a disk's source into the file that will be its flat one, and checks it on the way. What was done before
 * a kill stays done. Throws `DiskDamage`, and `NoRoom` before guests have none left: the next call goes on.
 */
export async function inflateDisk(disk: SettlingDisk, options: InflateDisk): Promise<void> {
  try {
    await inflate(disk, options);
  } catch (error) {
    throw asNoRoom(error);
  }
}

/** Deletes what was inflated so far: guests get its room, and the next call begins anew. */
export async function dropInflated({ files, descriptorPath }: SettlingDisk): Promise<void> {
  await rm(recordPaths(descriptorPath).progress, { force: true });
  await rm(files.partial, { force: true });
}

async function inflate(disk: SettlingDisk, { pace, signal, onProgress }: InflateDisk): Promise<void> {
  const { files, descriptorPath } = disk;
  if (disk.places.flatName !== undefined) return;
  const record = await checkSource(disk, signal);
  if (record.inflated && (await isThere(files.partial, files.flat))) return;
  const folder = dirname(descriptorPath);
  await checkRoom(folder);
  await mkdir(join(folder, '.hypo'), { recursive: true });
  const changed = new AbortController();
  const timer = setInterval(() => {
    fileIdentity(files.source).then(
      (identity) => {
        if (!sameFile(identity, record.identity)) changed.abort(sourceChanged(record));
      },
      (error: unknown) => changed.abort(error),
    );
    checkRoom(folder).catch((error: unknown) => changed.abort(error));
  }, lookInterval);
  try {
    await settleStream({
      source: placeOf(disk, record),
      targetPath: files.partial,
      virtualBytes: disk.capacityBytes,
      fill: !disk.thin,
      recordPath: recordPaths(descriptorPath).progress,
      about: aboutOf(record.identity, disk),
      ...(record.digest === undefined ? {} : { digest: record.digest }),
      pace,
      signal: AbortSignal.any([signal, changed.signal]),
      onProgress: ({ doneBytes }) => onProgress(doneBytes),
    });
    if (!sameFile(await fileIdentity(files.source), record.identity)) throw sourceChanged(record);
  } catch (error) {
    throw asDamage(error);
  } finally {
    clearInterval(timer);
  }
  await writeRecord(descriptorPath, { ...record, inflated: true });
}

function sourceChanged({ source }: SettleRecord): DiskDamage {
  return new DiskDamage(`${source} is being written to while a machine runs from it`);
}

function aboutOf({ inode, bytes, modified }: FileIdentity, { places }: SettlingDisk): string {
  return `${inode} ${bytes} ${modified} ${places.offset} ${places.length}`;
}

async function isThere(...paths: string[]): Promise<boolean> {
  for (const path of paths) {
    if (
      await access(path).then(
        () => true,
        () => false,
      )
    )
      return true;
  }
  return false;
}
