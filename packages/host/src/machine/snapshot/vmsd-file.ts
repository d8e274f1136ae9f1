import { HostError } from '../../errors.ts';
import { VmxFile } from '../../vmx/vmx-file.ts';
import type { PowerState } from '../record/power-state.ts';
import { type SnapshotDisk, type SnapshotEntry, type SnapshotList, withDescendants } from './snapshot-list.ts';

/** Most snapshots that a list may have. */
const maximumSnapshots = 1_000;
const maximumDisks = 256;
/** Type of a snapshot with memory, as VMware has it. */
const withMemory = '1';

/**
 * Reads a `.vmsd`, VMware's or ours: a dictionary as `.vmx` files are, with `snapshot0.uid`, `snapshot0.displayName` …
 * and `snapshot.current`. Throws `snapshots-invalid`.
 */
export function parseVmsd(bytes: Uint8Array, name: string): { readonly file: VmxFile; readonly list: SnapshotList } {
  const file = parseDictionary(bytes, name);
  const count = integer(file, 'snapshot.numSnapshots', 0, maximumSnapshots, name);
  const entries: SnapshotEntry[] = [];
  // Numbers may have gaps where snapshots were removed.
  for (let number = 0; number < maximumSnapshots && entries.length < count; number += 1) {
    if (file.get(`snapshot${number}.uid`) !== undefined) entries.push(readEntry(file, number, name));
  }
  if (entries.length < count) throw invalid(name, `it says ${count} snapshots and has ${entries.length}`);
  entries.sort((a, b) => a.uid - b.uid);
  check(entries, name);
  const highest = entries.at(-1)?.uid ?? 0;
  const lastUid = Math.max(highest, integer(file, 'snapshot.lastUID', highest, 2 ** 31 - 1, name));
  const current = integer(file, 'snapshot.current', 0, 2 ** 31 - 1, name);
  if (current !== 0 && !entries.some(({ uid }) => uid === current))
    throw invalid(name, `its current snapshot ${current} is not in it`);
  return { file, list: { entries, current: current === 0 ? undefined : current, lastUid } };
}

/** The text of a list; keys of `before` that are no part of it stay. */
export function formatVmsd(list: SnapshotList, before: VmxFile = VmxFile.parse(new Uint8Array(), '.vmsd')): string {
  const file = before.clone().deleteWhere((key) => /^snapshot(\d+\.|\.)/.test(key));
  if (file.get('.encoding') === undefined) file.set('.encoding', 'UTF-8');
  file.set('snapshot.lastUID', String(list.lastUid));
  if (list.current !== undefined) file.set('snapshot.current', String(list.current));
  for (const [number, entry] of list.entries.entries()) writeEntry(file, `snapshot${number}`, entry);
  file.set('snapshot.numSnapshots', String(list.entries.length));
  return file.toString();
}

function parseDictionary(bytes: Uint8Array, name: string): VmxFile {
  try {
    return VmxFile.parse(bytes, name);
  } catch (cause) {
    throw invalid(name, cause instanceof Error ? cause.message : 'it cannot be read', cause);
  }
}

function readEntry(file: VmxFile, number: number, name: string): SnapshotEntry {
  const prefix = `snapshot${number}`;
  const text = (key: string) => file.get(`${prefix}.${key}`) ?? '';
  const fileName = text('filename');
  if (fileName === '' || /[/\\]/.test(fileName)) throw invalid(name, `${prefix}.filename is '${fileName}'`);
  const parent = integer(file, `${prefix}.parent`, 0, 2 ** 31 - 1, name);
  const memoryFile = text('hypostyle.memory');
  if (/[/\\]/.test(memoryFile)) throw invalid(name, `${prefix}.hypostyle.memory is '${memoryFile}'`);
  const disks: SnapshotDisk[] = [];
  const count = integer(file, `${prefix}.numDisks`, 0, maximumDisks, name);
  for (let disk = 0; disk < count; disk += 1) {
    disks.push({ node: text(`disk${disk}.node`), fileName: text(`disk${disk}.fileName`) });
  }
  return {
    uid: integer(file, `${prefix}.uid`, 0, 2 ** 31 - 1, name),
    parent: parent === 0 ? undefined : parent,
    name: text('displayName'),
    description: text('description'),
    created: fromMicroseconds(text('createTimeHigh'), text('createTimeLow')),
    fileName,
    state: readState(text('hypostyle.state'), text('type')),
    quiesced: text('hypostyle.quiesced').toUpperCase() === 'TRUE',
    memoryFile: memoryFile === '' ? undefined : memoryFile,
    disks,
    cloned: Number(text('numClones')) > 0,
  };
}

function readState(state: string, type: string): PowerState {
  if (state === 'poweredOn' || state === 'suspended' || state === 'poweredOff') return state;
  return type === withMemory ? 'poweredOn' : 'poweredOff';
}

function writeEntry(file: VmxFile, prefix: string, entry: SnapshotEntry): void {
  const { high, low } = toMicroseconds(entry.created);
  file.set(`${prefix}.uid`, String(entry.uid)).set(`${prefix}.filename`, entry.fileName);
  if (entry.parent !== undefined) file.set(`${prefix}.parent`, String(entry.parent));
  file.set(`${prefix}.displayName`, entry.name).set(`${prefix}.description`, entry.description);
  if (entry.state !== 'poweredOff') file.set(`${prefix}.type`, withMemory);
  file.set(`${prefix}.createTimeHigh`, String(high)).set(`${prefix}.createTimeLow`, String(low));
  file.set(`${prefix}.numDisks`, String(entry.disks.length));
  for (const [number, disk] of entry.disks.entries()) {
    file.set(`${prefix}.disk${number}.fileName`, disk.fileName).set(`${prefix}.disk${number}.node`, disk.node);
  }
  if (entry.cloned) file.set(`${prefix}.numClones`, '1');
  file.set(`${prefix}.hypostyle.state`, entry.state);
  if (entry.quiesced) file.set(`${prefix}.hypostyle.quiesced`, 'TRUE');
  if (entry.memoryFile !== undefined) file.set(`${prefix}.hypostyle.memory`, entry.memoryFile);
}

function check(entries: readonly SnapshotEntry[], name: string): void {
  const uids = new Set(entries.map(({ uid }) => uid));
  if (uids.size !== entries.length) throw invalid(name, 'two snapshots have one uid');
  for (const { uid, parent } of entries) {
    if (uid < 1) throw invalid(name, `a snapshot has the uid ${uid}`);
    if (parent !== undefined && !uids.has(parent))
      throw invalid(name, `snapshot ${uid} has a parent ${parent} that is not there`);
  }
  const reached = new Set<number>();
  for (const entry of entries) {
    if (entry.parent === undefined) for (const uid of withDescendants(entries, entry.uid)) reached.add(uid);
  }
  if (reached.size !== entries.length) throw invalid(name, 'snapshots are parents of one another in a circle');
}

function integer(file: VmxFile, key: string, otherwise: number, most: number, name: string): number {
  const text = file.get(key);
  if (text === undefined || text === '') return otherwise;
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 0 || value > most) throw invalid(name, `${key} is '${text}'`);
  return value;
}

/** Microseconds since 1970 in two halves of 32 bits, of which the lower is written with a sign. */
function toMicroseconds(created: string): { readonly high: number; readonly low: number } {
  const value = BigInt(Date.parse(created)) * 1000n;
  return { high: Number(BigInt.asIntN(32, value >> 32n)), low: Number(BigInt.asIntN(32, value)) };
}

function fromMicroseconds(high: string, low: string): string {
  if (!/^-?\d{1,11}$/.test(high) || !/^-?\d{1,11}$/.test(low)) return new Date(0).toISOString();
  const value = (BigInt(high) << 32n) | BigInt.asUintN(32, BigInt(low));
  const milliseconds = Number(BigInt.asUintN(64, value) / 1000n);
  // The latest time that ISO has.
  return new Date(milliseconds <= 8.64e15 ? milliseconds : 0).toISOString();
}

function invalid(name: string, reason: string, cause?: unknown): HostError {
  return new HostError('snapshots-invalid', `${name}: ${reason}`, { cause });
}
