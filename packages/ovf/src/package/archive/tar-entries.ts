import { OvfError, type OvfWarning } from '../../errors.ts';
import { packageName } from '../package-name.ts';
import { maxExtendedHeader, parseTarExtension, parseTarHeader, type TarExtension, tarBlock } from './tar-header.ts';

/** A file in an archive. */
export interface TarEntry {
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /** First byte of the content in the archive. */
  readonly offset: number;
}

export interface TarLimits {
  /** Files in an archive; 10,000. */
  readonly maxEntries?: number;
  /** Pass over directories, and take an archive that ends without its end mark. */
  readonly lax?: boolean;
  /** Told of what was passed over, and of bytes that belong to no file and are not zero: padding, and what follows the end mark. */
  readonly onIgnored?: (warning: OvfWarning) => void;
}

/** Bytes behind the end mark that are looked at. */
const maxTail = 1024 * 1024;

/** Where an archive's bytes come from: a stream that reads on, or a file that seeks. */
export interface TarSource {
  /** Exactly `length` bytes at `offset`; fewer at the end of the archive. Offsets only grow. */
  read(offset: number, length: number): Promise<Uint8Array>;
}

const kinds: Readonly<Record<string, string>> = {
  '1': 'a hard link',
  '2': 'a symbolic link',
  '3': 'a character device',
  '4': 'a block device',
  '5': 'a directory',
  '6': 'a pipe',
  S: 'a sparse file',
  K: 'a link with a long name',
};

/**
 * The files of an archive in their order. Only regular files with safe, unique names are taken; anything else is refused.
 * Throws `archive-invalid`, `archive-truncated`, `archive-limit`, `name-unsafe`.
 */
export async function* tarEntries(source: TarSource, limits: TarLimits = {}): AsyncGenerator<TarEntry> {
  const maxEntries = limits.maxEntries ?? 10_000;
  const names = new Set<string>();
  let extension: TarExtension = {};
  let extensions = 0;
  let passed = 0;
  for (let offset = 0; ; ) {
    const block = await source.read(offset, tarBlock);
    if (block.length === 0 && limits.lax && names.size > 0) {
      limits.onIgnored?.({ detail: 'the end mark of the archive is missing', location: {} });
      return;
    }
    if (block.length < tarBlock) {
      const what = names.size === 0 ? 'the archive holds no complete file' : 'the end mark of the archive is missing';
      throw new OvfError('archive-truncated', `${what} at byte ${offset + block.length}`);
    }
    const header = parseTarHeader(block, offset);
    if (header === undefined) {
      await lookAtRest(source, offset + tarBlock, maxTail, 'the archive goes on behind its end mark', limits);
      return;
    }
    const content = offset + tarBlock;
    if (header.type === 'x' || header.type === 'g' || header.type === 'L') {
      extensions += 1;
      if (header.size > maxExtendedHeader || extensions > 4) {
        throw new OvfError('archive-limit', `the extended header at byte ${offset} is too long`);
      }
      const bytes = await source.read(content, header.size);
      if (bytes.length < header.size)
        throw new OvfError('archive-truncated', `the header at byte ${offset} is cut short`);
      const said = parseTarExtension(header.type, bytes, offset);
      if (header.type !== 'g') extension = { ...extension, ...said };
      else if (said.name !== undefined || said.size !== undefined) {
        throw new OvfError('archive-invalid', `the header at byte ${offset} gives all files one name or size`);
      }
      offset = content + padded(header.size);
      continue;
    }
    const rawName = extension.name ?? header.name;
    if (header.type === '5' && limits.lax && passed < maxEntries) {
      limits.onIgnored?.({ detail: 'the archive has a directory', location: { file: rawName } });
      passed += 1;
      extension = {};
      offset = content;
      continue;
    }
    if (header.type !== '0' && header.type !== '7') {
      const kind = kinds[header.type] ?? `an entry of type ${JSON.stringify(header.type)}`;
      throw new OvfError('archive-invalid', `${JSON.stringify(rawName)} is ${kind}, not a file`);
    }
    const name = packageName(rawName);
    const size = extension.size ?? header.size;
    if (names.has(name)) throw new OvfError('archive-invalid', 'the file is in the archive twice', { file: name });
    names.add(name);
    if (names.size > maxEntries) throw new OvfError('archive-limit', `the archive holds more than ${maxEntries} files`);
    extension = {};
    extensions = 0;
    yield { name, size, offset: content };
    offset = content + padded(size);
    const padding = offset - content - size;
    await lookAtRest(source, content + size, padding, 'the padding behind the file is not empty', limits, name);
    if (!Number.isSafeInteger(offset)) throw new OvfError('archive-invalid', 'the size is too large', { file: name });
  }
}

async function lookAtRest(
  source: TarSource,
  offset: number,
  length: number,
  detail: string,
  { onIgnored }: TarLimits,
  file?: string,
): Promise<void> {
  if (onIgnored === undefined || length === 0) return;
  const bytes = await source.read(offset, length);
  if (bytes.some((byte) => byte !== 0)) onIgnored({ detail, location: { file } });
}

function padded(size: number): number {
  return Math.ceil(size / tarBlock) * tarBlock;
}
