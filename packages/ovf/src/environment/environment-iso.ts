import { OvfError } from '../errors.ts';

/** A file in the root of an image. */
export interface IsoFile {
  /** 1 to 60 UTF-16 units; as Joliet has it, without control characters and any of `*`, `/`, `:`, `;`, `?` and `\`. */
  readonly name: string;
  readonly content: Uint8Array;
}

export interface IsoOptions {
  /** Label of the volume, 1 to 16 of `A`-`Z`, `0`-`9`, `_` and space. Default `OVF ENV`, as VMware's is named. */
  readonly label?: string;
  /** When the volume was made, and its files. Default now. */
  readonly at?: Date;
}

const sectorBytes = 2048;
const mostFiles = 8;
const mostContentBytes = 1 << 20;

/** Where everything lies, in sectors; both directories of up to 8 files fit in one each. */
const sectors = {
  primary: 16,
  joliet: 17,
  terminator: 18,
  primaryPathsLittle: 19,
  primaryPathsBig: 20,
  jolietPathsLittle: 21,
  jolietPathsBig: 22,
  primaryRoot: 23,
  jolietRoot: 24,
  content: 25,
} as const;

interface PlacedFile extends IsoFile {
  readonly sector: number;
}

interface DirectoryEntry {
  readonly identifier: Uint8Array;
  readonly sector: number;
  readonly bytes: number;
  readonly directory: boolean;
}

/**
 * A disc image of a few small files with their own names: ISO 9660 level 1 with Joliet (ECMA-119). The disc that the
 * `iso` transport puts the environment on (`ovf-env.xml`). Files are up to 8, together up to 1 MiB. Throws `image-invalid`.
 */
export function writeIso(files: readonly IsoFile[], options: IsoOptions = {}): Uint8Array {
  const { label = 'OVF ENV', at = new Date() } = options;
  checkIso(files, label, at);
  const placed: PlacedFile[] = [];
  let next: number = sectors.content;
  for (const file of files) {
    placed.push({ ...file, sector: next });
    // A file of no bytes has a sector all the same: readers differ in what they make of a shared one.
    next += Math.max(1, Math.ceil(file.content.length / sectorBytes));
  }
  const image = new Uint8Array(next * sectorBytes);
  const shortNames = shortNamesOf(files);
  const primary = placed.map((file, index) => recordOf(file, ascii(shortNames[index]!)));
  const joliet = placed.map((file) => recordOf(file, ucs2(`${file.name};1`)));
  const place = (sector: number, bytes: Uint8Array) => image.set(bytes, sector * sectorBytes);
  const volume = { label, at, sectorCount: next };
  place(sectors.primary, volumeDescriptor({ ...volume, joliet: false }));
  place(sectors.joliet, volumeDescriptor({ ...volume, joliet: true }));
  place(sectors.terminator, Uint8Array.of(255, ...ascii('CD001'), 1));
  place(sectors.primaryPathsLittle, pathTable(sectors.primaryRoot, true));
  place(sectors.primaryPathsBig, pathTable(sectors.primaryRoot, false));
  place(sectors.jolietPathsLittle, pathTable(sectors.jolietRoot, true));
  place(sectors.jolietPathsBig, pathTable(sectors.jolietRoot, false));
  place(sectors.primaryRoot, directory(sectors.primaryRoot, primary, at));
  place(sectors.jolietRoot, directory(sectors.jolietRoot, joliet, at));
  for (const { sector, content } of placed) place(sector, content);
  return image;
}

function checkIso(files: readonly IsoFile[], label: string, at: Date): void {
  const refuse = (detail: string): never => {
    throw new OvfError('image-invalid', detail);
  };
  if (!/^[A-Z0-9_ ]{1,16}$/.test(label)) refuse('its label must be of 1 to 16 capital letters, digits, "_" and spaces');
  // A year is a byte from 1900 on.
  if (!(at.getTime() >= Date.UTC(1970) && at.getTime() < Date.UTC(2155))) refuse('its date is not from 1970 to 2154');
  if (files.length > mostFiles) refuse(`it would have ${files.length} files; ${mostFiles} are the most`);
  const names = new Set<string>();
  let bytes = 0;
  for (const { name, content } of files) {
    if (name.length < 1 || name.length > 60 || /[\u0000-\u001f*/:;?\\]/.test(name) || !name.isWellFormed())
      refuse(`"${name.slice(0, 80)}" cannot be the name of a file on it`);
    if (names.has(name)) refuse(`two of its files are named "${name}"`);
    names.add(name);
    bytes += content.length;
  }
  if (bytes > mostContentBytes) refuse(`its files have ${bytes} bytes; ${mostContentBytes} are the most`);
}

/** Names as DOS would have them, for a reader without Joliet: `OVF_ENV.XML;1`. */
function shortNamesOf(files: readonly IsoFile[]): string[] {
  const taken = new Set<string>();
  return files.map(({ name }) => {
    const upper = name.toUpperCase().replace(/[^A-Z0-9_.]/g, '_');
    const dot = upper.lastIndexOf('.');
    const stem = (dot > 0 ? upper.slice(0, dot) : upper).replaceAll('.', '_');
    const extension = dot > 0 ? upper.slice(dot + 1, dot + 4) : '';
    for (let number = 0; ; number += 1) {
      const tail = number === 0 ? '' : String(number);
      const short = `${stem.slice(0, 8 - tail.length)}${tail}.${extension};1`;
      if (taken.has(short)) continue;
      taken.add(short);
      return short;
    }
  });
}

function recordOf(file: PlacedFile, identifier: Uint8Array): DirectoryEntry {
  return { identifier, sector: file.sector, bytes: file.content.length, directory: false };
}

/** A directory of one sector: itself, its parent (the root is its own), then its files in the order of their names. */
function directory(sector: number, files: readonly DirectoryEntry[], at: Date): Uint8Array {
  const own = (identifier: number): DirectoryEntry => ({
    identifier: Uint8Array.of(identifier),
    sector,
    bytes: sectorBytes,
    directory: true,
  });
  const sorted = [...files].sort((a, b) => Buffer.compare(a.identifier, b.identifier));
  const records = [own(0), own(1), ...sorted].map((record) => directoryRecord(record, at));
  return Buffer.concat(records);
}

/** ECMA-119 9.1. */
function directoryRecord(record: DirectoryEntry, at: Date): Uint8Array {
  const { identifier } = record;
  // Records have an even length.
  const bytes = Buffer.alloc(33 + identifier.length + ((identifier.length + 1) % 2));
  bytes[0] = bytes.length;
  both32(bytes, 2, record.sector);
  both32(bytes, 10, record.bytes);
  bytes[18] = at.getUTCFullYear() - 1900;
  bytes[19] = at.getUTCMonth() + 1;
  bytes[20] = at.getUTCDate();
  bytes[21] = at.getUTCHours();
  bytes[22] = at.getUTCMinutes();
  bytes[23] = at.getUTCSeconds();
  bytes[25] = record.directory ? 2 : 0;
  both16(bytes, 28, 1);
  bytes[32] = identifier.length;
  bytes.set(identifier, 33);
  return bytes;
}

/** The root alone (ECMA-119 9.4). */
function pathTable(root: number, little: boolean): Uint8Array {
  const bytes = Buffer.alloc(10);
  bytes[0] = 1;
  if (little) bytes.writeUInt32LE(root, 2);
  else bytes.writeUInt32BE(root, 2);
  if (little) bytes.writeUInt16LE(1, 6);
  else bytes.writeUInt16BE(1, 6);
  return bytes;
}

interface Volume {
  readonly label: string;
  readonly at: Date;
  readonly sectorCount: number;
  readonly joliet: boolean;
}

/** The primary descriptor (ECMA-119 8.4), or Joliet's supplementary one (8.5) with its names in UCS-2. */
function volumeDescriptor({ label, at, sectorCount, joliet }: Volume): Uint8Array {
  const bytes = Buffer.alloc(sectorBytes);
  const root = joliet ? sectors.jolietRoot : sectors.primaryRoot;
  const text = (offset: number, length: number, value: string) => {
    const blank = joliet ? ucs2(' '.repeat(length >> 1)) : ascii(' '.repeat(length));
    bytes.set(blank, offset);
    bytes.set(joliet ? ucs2(value) : ascii(value), offset);
  };
  bytes[0] = joliet ? 2 : 1;
  bytes.set(ascii('CD001'), 1);
  bytes[6] = 1;
  text(8, 32, '');
  text(40, 32, label);
  both32(bytes, 80, sectorCount);
  // UCS-2 level 3.
  if (joliet) bytes.set(ascii('%/E'), 88);
  both16(bytes, 120, 1);
  both16(bytes, 124, 1);
  both16(bytes, 128, sectorBytes);
  both32(bytes, 132, 10);
  bytes.writeUInt32LE(joliet ? sectors.jolietPathsLittle : sectors.primaryPathsLittle, 140);
  bytes.writeUInt32BE(joliet ? sectors.jolietPathsBig : sectors.primaryPathsBig, 148);
  const own = { identifier: Uint8Array.of(0), sector: root, bytes: sectorBytes, directory: true };
  bytes.set(directoryRecord(own, at), 156);
  for (const offset of [190, 318, 446, 574]) text(offset, 128, '');
  for (const offset of [702, 739, 776]) text(offset, 37, '');
  const made = `${at
    .toISOString()
    .replace(/[-:.TZ]/g, '')
    .slice(0, 14)}00`;
  const never = '0'.repeat(16);
  for (const [offset, when] of [
    [813, made],
    [830, made],
    [847, never],
    [864, never],
  ] as const)
    bytes.set(ascii(when), offset);
  bytes[881] = 1;
  return bytes;
}

function both16(bytes: Buffer, offset: number, value: number): void {
  bytes.writeUInt16LE(value, offset);
  bytes.writeUInt16BE(value, offset + 2);
}

function both32(bytes: Buffer, offset: number, value: number): void {
  bytes.writeUInt32LE(value, offset);
  bytes.writeUInt32BE(value, offset + 4);
}

function ascii(text: string): Uint8Array {
  return Buffer.from(text, 'latin1');
}

function ucs2(text: string): Uint8Array {
  return Buffer.from(text, 'utf16le').swap16();
}
