import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type Disk,
  formatOf,
  type ImageFormat,
  isNbdUri,
  type NbdClientTls,
  type NbdDisk,
  type OpenDiskOptions,
  openAnyDisk,
  openDisk,
  openNbdDisk,
  openRawDisk,
  parseNbdUri,
} from '@hypostyle/vmdk';
import type { Command } from 'commander';
import { CliError } from '../errors.ts';

/** Options of every command that opens disks. */
export interface SourceOptions {
  readonly allowOutside?: boolean;
  readonly tlsCertificates?: string;
}

export function sourceOptions(command: Command): Command {
  return command
    .option('--allow-outside', "open parents and extents outside the disk's own folder")
    .option('--tls-certificates <folder>', 'for nbds: URIs, ca-cert.pem and perhaps client-cert.pem, client-key.pem');
}

/** What a person named on the command line. */
export type DiskSource =
  | { readonly kind: 'nbd'; readonly uri: string }
  | { readonly kind: 'file'; readonly path: string }
  | {
      readonly kind: 'member';
      readonly archive: string;
      readonly name: string;
      readonly window: { readonly offset: number; readonly length: number };
    };

/**
 * Finds what is meant: the URI of an NBD export, a disk's file, an OVA (its only disk), or `FILE.ova/DISK` for one of
 * several. Throws `not-found` and `usage`.
 */
export async function findSource(text: string): Promise<DiskSource> {
  if (isNbdUri(text)) return { kind: 'nbd', uri: text };
  const [, archive = '', wanted] = /^(.+?\.ova)(?:\/(.+))?$/i.exec(text) ?? [];
  if (archive === '' || !(await isFile(archive))) return { kind: 'file', path: text };
  const { indexOva } = await import('@hypostyle/ovf');
  const disks = (await indexOva(archive)).filter(({ name }) => /\.vmdk$/i.test(name));
  const found = wanted === undefined ? disks : disks.filter(({ name }) => name === wanted);
  const names = disks.map(({ name }) => `${archive}/${name}`).join(', ');
  const [member] = found;
  if (member === undefined) {
    const next = disks.length === 0 ? {} : { next: `Its disks are ${names}.` };
    throw new CliError('not-found', wanted ? `${archive} has no disk ${wanted}.` : `${archive} has no VMDK.`, next);
  }
  if (found.length > 1) {
    throw new CliError('usage', `${archive} has ${found.length} disks.`, { next: `Say which: ${names}.` });
  }
  const window = { offset: member.offset, length: member.size };
  return { kind: 'member', archive, name: member.name, window };
}

/** Opens what a person named. */
export async function openSource(
  text: string,
  options: SourceOptions & { readonly writable?: boolean; readonly changeMaps?: readonly string[] } = {},
): Promise<Disk> {
  const source = await findSource(text);
  const { writable = false } = options;
  if (source.kind === 'nbd') return openExport(source.uri, options);
  if (source.kind === 'member') {
    if (writable) throw new CliError('usage', `${text} is in an archive and cannot be written.`);
    return openDisk(source.archive, { window: source.window });
  }
  const format = await imageFormat(source.path);
  if (format === 'vmdk') return openDisk(source.path, { writable, ...outside(options) });
  if (format === 'raw') return openRawDisk(source.path, { writable });
  if (writable) throw new CliError('usage', `${text} is ${format}, which is only read here.`);
  return openAnyDisk(source.path, { format });
}

/** What a file is by its first bytes; one that says nothing is raw, unless its name says VMDK. */
export async function imageFormat(path: string): Promise<ImageFormat> {
  return (await formatOf(path)) ?? (/\.vmdk$/i.test(path) ? 'vmdk' : 'raw');
}

/** Opens an export of an NBD server. */
export async function openExport(
  uri: string,
  options: SourceOptions & { readonly writable?: boolean; readonly changeMaps?: readonly string[] },
): Promise<NbdDisk> {
  const { address, exportName } = parseNbdUri(uri, await clientTls(uri, options.tlsCertificates));
  const { writable = false, changeMaps = [] } = options;
  return openNbdDisk(address, exportName, { writable, changeMaps });
}

export function outside({ allowOutside = false }: SourceOptions): Pick<OpenDiskOptions, 'allowOutside'> {
  return allowOutside ? { allowOutside: () => true } : {};
}

/** Certificates by the names that QEMU and libnbd give them in a folder. */
async function clientTls(uri: string, folder: string | undefined): Promise<NbdClientTls> {
  const from = folder ?? new URL(uri).searchParams.get('tls-certificates') ?? undefined;
  if (from === undefined) return {};
  const part = (name: string) => readFile(join(from, name), 'utf8').catch(() => undefined);
  const [ca, cert, key] = await Promise.all(['ca-cert.pem', 'client-cert.pem', 'client-key.pem'].map(part));
  if (ca === undefined) throw new CliError('not-found', `${join(from, 'ca-cert.pem')} cannot be read.`);
  return { ca, ...(cert === undefined || key === undefined ? {} : { cert, key }) };
}

async function isFile(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isFile() ?? false;
}
