import { readFile, stat } from 'node:fs/promises';
import { basename, extname } from 'node:path';
import { type ChangeMap, changeMapOf } from '@hypostyle/vmdk';
import { CliError } from '../errors.ts';

/** Longest file that is read: some half a million ranges. */
const maximumBytes = 32 * 2 ** 20;

/**
 * A change map of a JSON file: a list of ranges with `offset` (or `start`) and `length`, all changed unless `state` is
 * `unchanged`, such as `hypo disk map --changes NAME --json` gives, or as the areas of QueryChangedDiskAreas. It is
 * called as the file. Throws `not-found` and `failed`.
 */
export async function readChangeMap(file: string, virtualBytes: number): Promise<ChangeMap> {
  const found = await stat(file).catch(() => undefined);
  if (found === undefined) throw new CliError('not-found', `${file} cannot be read.`);
  if (found.size > maximumBytes) throw new CliError('failed', `${file} is longer than a change map may be.`);
  const ranges = rangesOf(await readFile(file, 'utf8'));
  if (ranges === undefined) {
    throw new CliError('failed', `${file} is no list of ranges with offset and length, in JSON.`);
  }
  const changed = ranges.filter(({ state }) => state !== 'unchanged').sort((one, other) => one.offset - other.offset);
  return changeMapOf(basename(file, extname(file)), virtualBytes, changed);
}

function rangesOf(text: string) {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  const list = Array.isArray(value) ? value : (value as { changedArea?: unknown } | null)?.changedArea;
  if (!Array.isArray(list)) return undefined;
  const ranges: { offset: number; length: number; state: unknown }[] = [];
  for (const one of list as unknown[]) {
    const { offset, start = offset, length, state } = (one ?? {}) as Record<string, unknown>;
    if (!Number.isSafeInteger(start) || !Number.isSafeInteger(length)) return undefined;
    ranges.push({ offset: start as number, length: length as number, state });
  }
  return ranges;
}
