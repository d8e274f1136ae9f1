import { HostError } from '../../errors.ts';
import { mostGenerations, type TrackedDisk } from './tracked-disk.ts';

/** What a machine's folder says of the changes of its disks. */
export type ChangeRecord = readonly TrackedDisk[];

/** Longest record that is read, in bytes. */
export const maximumRecordBytes = 4 << 20;
/** Most disks that it is kept of. */
export const mostTrackedDisks = 512;

const version = 1;
const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const digest = /^[0-9a-f]{64}$/;

export function formatChangeRecord(disks: ChangeRecord): string {
  return `${JSON.stringify({ version, disks }, undefined, 1)}\n`;
}

/** Reads a record. Throws `changes-invalid`. */
export function parseChangeRecord(text: string): ChangeRecord {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw invalid('it is no JSON', cause);
  }
  const document = object(value);
  if (document.version !== version) throw invalid(`its version is ${JSON.stringify(document.version)?.slice(0, 40)}`);
  const disks = list(document.disks, mostTrackedDisks).map(diskOf);
  if (new Set(disks.map(({ base }) => base)).size !== disks.length) throw invalid('it has a disk twice');
  return disks;
}

function diskOf(value: unknown): TrackedDisk {
  const { base, generation, bytes, epoch } = object(value);
  if (typeof base !== 'string' || base === '' || base.length > 1024) throw invalid('a disk has no name');
  const last = count(generation, 1);
  return {
    base,
    generation: last,
    bytes: count(bytes, 0),
    epoch: epoch === undefined ? undefined : epochOf(epoch, last),
  };
}

function epochOf(value: unknown, last: number): NonNullable<TrackedDisk['epoch']> {
  const { id, oldest, moments, closed } = object(value);
  if (typeof id !== 'string' || !uuid.test(id)) throw invalid('an epoch is no UUID');
  if (closed !== undefined && (typeof closed !== 'string' || !digest.test(closed)))
    throw invalid('the state of a disk is no digest');
  const first = count(oldest, 1);
  if (first > last || last - first >= mostGenerations) throw invalid('its generations are out of order');
  const found = list(moments, mostGenerations).map((moment) => {
    const { snapshot, generation } = object(moment);
    const known = { snapshot: count(snapshot, 1), generation: count(generation, first) };
    if (known.generation > last) throw invalid('a snapshot is of a generation that has not begun');
    return known;
  });
  if (new Set(found.map(({ snapshot }) => snapshot)).size !== found.length) throw invalid('it has a snapshot twice');
  return { id, oldest: first, moments: found, closed };
}

function object(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalid('it is not what we write');
  return value as Record<string, unknown>;
}

function list(value: unknown, most: number): readonly unknown[] {
  if (!Array.isArray(value) || value.length > most) throw invalid('it has too many members, or none');
  return value;
}

function count(value: unknown, least: number): number {
  if (!Number.isSafeInteger(value) || (value as number) < least) throw invalid('a number is out of range');
  return value as number;
}

function invalid(reason: string, cause?: unknown): HostError {
  return new HostError('changes-invalid', `the record of changed blocks cannot be used: ${reason}`, { cause });
}
