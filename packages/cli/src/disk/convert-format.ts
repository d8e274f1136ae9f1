import { extname } from 'node:path';
import {
  type ConvertKind,
  creatableKinds,
  type ForeignFormat,
  foreignFormats,
  type ImageFormat,
} from '@hypostyle/vmdk';
import { CliError } from '../errors.ts';

/** What a disk can be made into: a kind of VMDK, a raw image, or the format of another. */
export type TargetFormat = ConvertKind | ForeignFormat;

export const targetFormats: readonly TargetFormat[] = [...creatableKinds, 'streamOptimized', 'raw', ...foreignFormats];

/** Names that people know better. */
const otherNames: Readonly<Record<string, TargetFormat>> = { vhd: 'vpc', thin: 'vmfs', stream: 'streamOptimized' };

const byExtension: Readonly<Record<string, TargetFormat>> = {
  '.vmdk': 'vmfs',
  '.raw': 'raw',
  '.img': 'raw',
  '.qcow2': 'qcow2',
  '.vhdx': 'vhdx',
  '.vhd': 'vpc',
  '.vdi': 'vdi',
};

/** Formats that need no seek. */
const streamed: readonly TargetFormat[] = ['streamOptimized', 'raw'];

/** What the target is to be: as `--to` says, else by its name. Throws `usage`. */
export function targetFormat(target: string, wanted: string | undefined): TargetFormat {
  const named = wanted === undefined ? undefined : formatNamed(wanted);
  const format = named ?? (target === '-' ? 'streamOptimized' : byExtension[extname(target).toLowerCase()]);
  if (format === undefined) {
    throw new CliError('usage', `The name ${target} does not say what to make.`, {
      next: `Say it with --to: ${list()}.`,
    });
  }
  if (target === '-' && !streamed.includes(format)) {
    throw new CliError('usage', `${format} needs a file.`, {
      next: `To standard output go ${streamed.join(' and ')}.`,
    });
  }
  return format;
}

function formatNamed(wanted: string): TargetFormat {
  const format = otherNames[wanted] ?? targetFormats.find((known) => known.toLowerCase() === wanted.toLowerCase());
  if (format) return format;
  throw new CliError('usage', `'${wanted}' is not known.`, { next: `There are ${list()}.` });
}

/** What the source is, where the person says so. Throws `usage`. */
export function sourceFormat(wanted: string | undefined): ImageFormat | undefined {
  if (wanted === undefined) return undefined;
  const known: readonly ImageFormat[] = ['vmdk', 'raw', ...foreignFormats];
  const format = wanted === 'vhd' ? 'vpc' : known.find((name) => name === wanted);
  if (format) return format;
  throw new CliError('usage', `'${wanted}' is not known.`, { next: `There are ${known.join(', ')}.` });
}

export function isForeign(format: TargetFormat): format is ForeignFormat {
  return (foreignFormats as readonly string[]).includes(format);
}

function list(): string {
  return targetFormats.join(', ');
}
