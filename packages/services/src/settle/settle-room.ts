import { statfs } from 'node:fs/promises';
import { systemCode } from '../errors.ts';

/** Most bytes that are left to guests, and the part of a file system that is, in percent. */
const mostReserve = 256 * 2 ** 20;
const reservePercent = 2;

/** Where a disk settles there is hardly room left; what guests write comes first. */
export class NoRoom extends Error {
  override readonly name = 'NoRoom';
}

/** Bytes that may still be written in a folder, and how many of them are left to guests. */
export async function roomIn(folder: string): Promise<{ readonly free: number; readonly reserve: number }> {
  const { bavail, blocks, bsize } = await statfs(folder);
  return { free: bavail * bsize, reserve: Math.min(mostReserve, Math.floor((blocks * bsize * reservePercent) / 100)) };
}

/** Throws `NoRoom`. A file system that does not tell is believed to have room. */
export async function checkRoom(folder: string): Promise<void> {
  const room = await roomIn(folder).catch(() => undefined);
  if (room !== undefined && room.free < room.reserve) throw new NoRoom(`${room.free} bytes are free`);
}

/** An error as `NoRoom`, where the file system was full: it, or what an error of the disk came of, says so. */
export function asNoRoom(error: unknown): unknown {
  const cause = error instanceof Error ? error.cause : undefined;
  const code = [error, cause].map(systemCode).find((each) => each === 'ENOSPC' || each === 'EDQUOT');
  if (code === undefined) return error;
  return new NoRoom(error instanceof Error ? error.message : code, { cause: error });
}
