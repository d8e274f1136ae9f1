import { VmdkError } from '../errors.ts';
import { maximumVirtualBytes, sectorBytes } from '../size.ts';
import { type ExtentDescription, parseExtentLine } from './extent-line.ts';

/** CID of a disk without a parent. */
export const noParent = 0xffffffff;

/** Longest descriptor that is read, in bytes: 1 MiB. */
export const maximumDescriptorBytes = 2 ** 20;

/**
 * A disk descriptor (Virtual Disk Format 5.0, "The Descriptor File"). The lines are the truth: unknown keys, comments
 * and order survive, and the typed fields are read from them.
 */
export interface Descriptor {
  /** 1, 2 or 3. */
  readonly version: number;
  /** Such as `UTF-8` or `windows-1252`. */
  readonly encoding: string;
  /** CID, 32 bits. */
  readonly contentId: number;
  /** CID that the parent had when this disk was made; `noParent` without one. */
  readonly parentContentId: number;
  readonly parentFileNameHint?: string;
  readonly isNativeSnapshot: boolean;
  readonly createType: string;
  readonly changeTrackPath?: string;
  readonly extents: readonly ExtentDescription[];
  /** Disk database, keys without the `ddb.` in front. */
  readonly ddb: ReadonlyMap<string, string>;
  /** All lines as they stand in the file, without line ends. */
  readonly lines: readonly string[];
}

export interface ParseDescriptorOptions {
  /** Name for error messages. */
  readonly file?: string;
}

/** A `key = value` line; undefined when it is none. */
export function parseAssignment(line: string): { readonly key: string; readonly value: string } | undefined {
  const text = line.trim();
  const equals = text.indexOf('=');
  if (equals <= 0 || text.startsWith('#')) return undefined;
  const key = text.slice(0, equals).trim();
  if (!/^[A-Za-z][\w.]{0,255}$/.test(key)) return undefined;
  const value = text.slice(equals + 1).trim();
  const quoted = value.length >= 2 && value.startsWith('"') && value.endsWith('"');
  return { key, value: quoted ? value.slice(1, -1) : value };
}

const singleKeys = new Set([
  'version',
  'encoding',
  'cid',
  'parentcid',
  'parentfilenamehint',
  'isnativesnapshot',
  'createtype',
  'changetrackpath',
]);

/** Reads a descriptor's text; throws `descriptor-invalid` with the line. A zero byte ends the text. */
export function parseDescriptor(text: string, options: ParseDescriptorOptions = {}): Descriptor {
  const file = options.file ?? 'descriptor';
  if (text.length > maximumDescriptorBytes) {
    throw new VmdkError('descriptor-too-large', { file, reason: `more than ${maximumDescriptorBytes} bytes` });
  }
  const end = text.indexOf('\0');
  const lines = (end < 0 ? text : text.slice(0, end)).split('\n');
  if (!lines[0]?.trim().toLowerCase().startsWith('# disk descriptorfile')) {
    throw new VmdkError('descriptor-invalid', {
      file,
      place: 'line 1',
      reason: 'does not begin with "# Disk DescriptorFile"',
    });
  }
  const fields = new Map<string, { readonly value: string; readonly line: number }>();
  const ddb = new Map<string, string>();
  const extents: ExtentDescription[] = [];
  let sectors = 0;
  for (const [index, line] of lines.entries()) {
    const extent = parseExtentLine(line, file, index + 1);
    if (extent) {
      extents.push(extent);
      sectors += extent.sectors;
      if (sectors * sectorBytes > maximumVirtualBytes) {
        throw invalid(file, index + 1, `extents exceed ${maximumVirtualBytes} bytes`);
      }
      continue;
    }
    const assignment = parseAssignment(line);
    if (!assignment) continue;
    const key = assignment.key.toLowerCase();
    if (key.startsWith('ddb.')) {
      ddb.set(assignment.key.slice(4), assignment.value);
    } else if (singleKeys.has(key)) {
      if (fields.has(key)) throw invalid(file, index + 1, `${assignment.key} is there twice`);
      fields.set(key, { value: assignment.value, line: index + 1 });
    }
  }
  const required = (key: string) => {
    const field = fields.get(key.toLowerCase());
    if (!field) throw new VmdkError('descriptor-invalid', { file, reason: `${key} is missing` });
    return field;
  };
  const version = required('version');
  if (!/^[123]$/.test(version.value)) throw invalid(file, version.line, `version ${version.value} is not 1, 2 or 3`);
  const createType = required('createType');
  if (!/^[A-Za-z0-9_-]{1,64}$/.test(createType.value)) {
    throw invalid(file, createType.line, 'createType is not a single word');
  }
  const parentFileNameHint = fields.get('parentfilenamehint')?.value;
  const changeTrackPath = fields.get('changetrackpath')?.value;
  return {
    version: Number(version.value),
    encoding: fields.get('encoding')?.value ?? 'UTF-8',
    contentId: contentIdField('CID', required('CID'), file),
    parentContentId: contentIdField('parentCID', required('parentCID'), file),
    ...(parentFileNameHint === undefined ? {} : { parentFileNameHint }),
    isNativeSnapshot: fields.get('isnativesnapshot')?.value.toLowerCase() === 'yes',
    createType: createType.value,
    ...(changeTrackPath === undefined ? {} : { changeTrackPath }),
    extents,
    ddb,
    lines,
  };
}

/** Capacity in bytes: the sum of the extents. */
export function descriptorBytes(descriptor: Descriptor): number {
  return descriptor.extents.reduce((sum, extent) => sum + extent.sectors, 0) * sectorBytes;
}

/** Text of a descriptor; what was parsed comes back byte for byte. */
export function formatDescriptor(descriptor: Descriptor): string {
  return descriptor.lines.join('\n');
}

/** CID in the eight lower-case hexadecimal digits that descriptors use. */
export function formatContentId(contentId: number): string {
  return contentId.toString(16).padStart(8, '0');
}

function contentIdField(key: string, field: { readonly value: string; readonly line: number }, file: string): number {
  if (!/^[0-9a-fA-F]{1,8}$/.test(field.value)) throw invalid(file, field.line, `${key} is not a 32-bit hexadecimal`);
  return Number.parseInt(field.value, 16);
}

function invalid(file: string, line: number, reason: string): VmdkError {
  return new VmdkError('descriptor-invalid', { file, place: `line ${line}`, reason });
}
