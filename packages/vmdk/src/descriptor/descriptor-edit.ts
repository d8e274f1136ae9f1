import { VmdkError } from '../errors.ts';
import { type Descriptor, formatContentId, noParent, parseAssignment, parseDescriptor } from './descriptor.ts';
import { type ExtentDescription, formatExtentLine, parseExtentLine } from './extent-line.ts';

/** What a new descriptor says; the rest has its usual value. */
export interface DescriptorFields {
  readonly createType: string;
  readonly contentId: number;
  readonly parentContentId?: number;
  readonly parentFileNameHint?: string;
  readonly extents: readonly ExtentDescription[];
  /** Disk database, keys without the `ddb.` in front, in the order given. */
  readonly ddb?: Readonly<Record<string, string>>;
}

/** A new descriptor of version 1 in UTF-8, laid out as ESXi does. */
export function buildDescriptor(fields: DescriptorFields): Descriptor {
  const lines = [
    '# Disk DescriptorFile',
    'version=1',
    'encoding="UTF-8"',
    `CID=${formatContentId(fields.contentId)}`,
    `parentCID=${formatContentId(fields.parentContentId ?? noParent)}`,
    `createType="${writable(fields.createType)}"`,
    ...(fields.parentFileNameHint === undefined ? [] : [`parentFileNameHint="${writable(fields.parentFileNameHint)}"`]),
    '',
    '# Extent description',
    ...fields.extents.map(extentLine),
    '',
    '# The Disk Data Base ',
    '#DDB',
    '',
    ...Object.entries(fields.ddb ?? {}).map(([key, value]) => `ddb.${key} = "${writable(value)}"`),
    '',
  ];
  return parseDescriptor(lines.join('\n'));
}

/** What `editDescriptor` changes; an `undefined` value takes the line away. */
export interface DescriptorChanges {
  readonly version?: 1 | 2 | 3;
  readonly createType?: string;
  readonly contentId?: number;
  readonly parentContentId?: number;
  readonly parentFileNameHint?: string | undefined;
  readonly changeTrackPath?: string | undefined;
  readonly extents?: readonly ExtentDescription[];
  /** Disk database entries, keys without the `ddb.` in front; those not named stay. */
  readonly ddb?: Readonly<Record<string, string | undefined>>;
}

/** The descriptor with some values changed; every other line stays where and as it was. */
export function editDescriptor(descriptor: Descriptor, changes: DescriptorChanges): Descriptor {
  let lines = [...descriptor.lines];
  const set = (key: string, line: string | undefined, after: (line: string) => boolean) => {
    const at = lines.findIndex((text) => parseAssignment(text)?.key.toLowerCase() === key.toLowerCase());
    if (at >= 0) lines.splice(at, 1, ...(line === undefined ? [] : [keepReturn(line, lines[at] ?? '')]));
    else if (line !== undefined) {
      const place = lines.findLastIndex(after);
      lines.splice(place + 1, 0, keepReturn(line, lines[place] ?? ''));
    }
  };
  const inHeader = (text: string) => parseAssignment(text)?.key.startsWith('ddb.') === false;
  const inDatabase = (text: string) => parseAssignment(text)?.key.startsWith('ddb.') === true || /^\s*#DDB/.test(text);
  if (changes.version !== undefined) set('version', `version=${changes.version}`, inHeader);
  if (changes.contentId !== undefined) set('CID', `CID=${formatContentId(changes.contentId)}`, inHeader);
  if (changes.parentContentId !== undefined) {
    set('parentCID', `parentCID=${formatContentId(changes.parentContentId)}`, inHeader);
  }
  for (const key of ['createType', 'parentFileNameHint', 'changeTrackPath'] as const) {
    if (!(key in changes)) continue;
    const value = changes[key];
    set(key, value === undefined ? undefined : `${key}="${writable(value)}"`, inHeader);
  }
  for (const [key, value] of Object.entries(changes.ddb ?? {})) {
    set(`ddb.${key}`, value === undefined ? undefined : `ddb.${key} = "${writable(value)}"`, inDatabase);
  }
  if (changes.extents) lines = replaceExtents(lines, changes.extents);
  return parseDescriptor(lines.join('\n'));
}

function replaceExtents(lines: readonly string[], extents: readonly ExtentDescription[]): string[] {
  const isExtent = (line: string) => parseExtentLine(line, 'descriptor', 0) !== undefined;
  const first = lines.findIndex(isExtent);
  const place = first >= 0 ? first : lines.findIndex((line) => line.startsWith('# Extent')) + 1;
  const before = lines.slice(0, place);
  const after = lines.slice(place).filter((line) => !isExtent(line));
  return [...before, ...extents.map((extent) => keepReturn(extentLine(extent), lines[0] ?? '')), ...after];
}

function extentLine(extent: ExtentDescription): string {
  if (extent.file !== undefined) writable(extent.file);
  return formatExtentLine(extent);
}

/** A file with Windows line ends keeps them. */
function keepReturn(line: string, neighbour: string): string {
  return neighbour.endsWith('\r') ? `${line}\r` : line;
}

function writable(value: string): string {
  if (/["\r\n\0]/.test(value)) {
    throw new VmdkError('descriptor-invalid', {
      file: 'descriptor',
      reason: `${JSON.stringify(value)} has a quote or line end`,
    });
  }
  return value;
}
