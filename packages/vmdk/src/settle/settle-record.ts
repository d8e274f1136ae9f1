import { closeSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';

/** How far a run has come: everything before it is durable in the target. */
export interface SettlePosition {
  /** Byte of the source at which the next marker begins. */
  readonly source: number;
  /** Byte of the disk up to which the target is filled. */
  readonly disk: number;
  /** Grains so far. */
  readonly grains: number;
}

/** The position of an earlier run over the same bytes; undefined where there is none, or it cannot be believed. */
export function readSettleRecord(path: string, about: string): SettlePosition | undefined {
  try {
    const value: unknown = JSON.parse(readFileSync(path, 'utf8'));
    if (typeof value !== 'object' || value === null) return undefined;
    const record = value as Readonly<Record<string, unknown>>;
    const { source, disk, grains } = record;
    if (record.about !== about || !isCount(source) || !isCount(disk) || !isCount(grains)) return undefined;
    return { source, disk, grains };
  } catch {
    return undefined;
  }
}

/** Writes it durably; a kill leaves the old one or this one. `about` says which bytes it is about. */
export function writeSettleRecord(path: string, about: string, position: SettlePosition): void {
  const temporary = `${path}.new`;
  const file = openSync(temporary, 'w', 0o600);
  try {
    writeSync(file, JSON.stringify({ about, ...position }));
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(temporary, path);
}

/** Removes it durably: what it is about is made anew. */
export function removeSettleRecord(path: string): void {
  rmSync(path, { force: true });
  const folder = openSync(dirname(path), 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
