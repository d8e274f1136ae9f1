import { createReadStream } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import {
  folderSource,
  type OvaStream,
  type OvfPackage,
  openPackage,
  ovaSource,
  type PackageOptions,
  type PackageSource,
  readOva,
} from '@hypostyle/ovf';
import type { CommandContext } from '../command-context.ts';
import { fetchBody, webFolderSource } from '../deploy/web-source.ts';
import { CliError } from '../errors.ts';

/** What a person named: a place that can be read in any order, or bytes that pass by once. */
export type OpenedPlace =
  | {
      readonly kind: 'source';
      readonly source: PackageSource;
      readonly path?: string;
      readonly form: 'folder' | 'archive';
    }
  | { readonly kind: 'stream'; readonly bytes: AsyncIterable<Uint8Array> };

/**
 * Opens a package by what a person calls it: an OVA, a descriptor, a folder with one descriptor in it, the address of
 * either, or `-` for an OVA on the standard input. Throws `not-found`, `usage`.
 */
export async function openPlace(
  name: string,
  { terminal, signal }: CommandContext,
  options: Pick<PackageOptions, 'rules'> = {},
): Promise<OpenedPlace> {
  if (name === '-') {
    if (terminal.input.isTTY) {
      throw new CliError('usage', 'The standard input is the terminal.', { next: 'Pipe an OVA into it.' });
    }
    return { kind: 'stream', bytes: terminal.input as AsyncIterable<Uint8Array> };
  }
  if (/^https?:\/\//i.test(name)) {
    const url = new URL(name);
    return /\.ovf$/i.test(url.pathname)
      ? { kind: 'source', source: webFolderSource(url, signal), form: 'folder' }
      : { kind: 'stream', bytes: await fetchBody(url, signal) };
  }
  const status = await stat(name).catch((cause: unknown) => {
    const code = (cause as NodeJS.ErrnoException).code;
    const missing = code === 'ENOENT' || code === 'ENOTDIR';
    throw new CliError(missing ? 'not-found' : 'failed', `${name} ${missing ? 'does not exist' : 'cannot be read'}.`, {
      next: 'Name an OVA, a descriptor (.ovf), or a folder with one.',
      cause,
    });
  });
  if (status.isDirectory()) {
    const path = join(name, await descriptorIn(name));
    return { kind: 'source', source: await folderSource(path), path, form: 'folder' };
  }
  if (/\.ovf$/i.test(name)) {
    return { kind: 'source', source: await folderSource(name), path: name, form: 'folder' };
  }
  // An OVA is a tar, whatever it is called; a pipe or the like can only be read once.
  if (!status.isFile()) return { kind: 'stream', bytes: createReadStream(name) };
  return {
    kind: 'source',
    source: await ovaSource(name, { lax: options.rules === 'lax' }),
    path: name,
    form: 'archive',
  };
}

async function descriptorIn(folder: string): Promise<string> {
  const found = (await readdir(folder)).filter((name) => /\.ovf$/i.test(name));
  if (found.length === 1) return found[0]!;
  throw new CliError(
    'usage',
    `${folder} has ${found.length === 0 ? 'no descriptor' : `${found.length} descriptors`}.`,
    {
      next: found.length === 0 ? 'Name a folder with an .ovf file in it.' : `Name one: ${found.join(', ')}.`,
    },
  );
}

/** A package that must be readable in any order. */
export interface SeekablePackage extends AsyncDisposable {
  readonly opened: OvfPackage;
  /** Path of the OVA or of the descriptor; absent for one from the web. */
  readonly path?: string;
  readonly form: 'folder' | 'archive';
}

/** {@link openPlace} for those who read in any order. Throws `usage` for what passes by once. */
export async function openSeekable(
  name: string,
  context: CommandContext,
  options: PackageOptions = {},
): Promise<SeekablePackage> {
  const place = await openPlace(name, context, options);
  if (place.kind === 'stream') {
    throw new CliError('usage', `${name} passes by only once, and this command reads it in any order.`, {
      next: "Put it into a file first, or take it apart with 'hypo ovf unpack'.",
    });
  }
  const { source, form, path } = place;
  const opened = await openPackage(source, withPassphrase(context, options));
  return { opened, form, ...(path === undefined ? {} : { path }), [Symbol.asyncDispose]: () => opened.close() };
}

/** Every command knows the passphrase that the environment has. */
function withPassphrase({ environment }: CommandContext, options: PackageOptions): PackageOptions {
  return { ...options, passphrase: options.passphrase ?? (environment.HYPOSTYLE_OVF_PASSPHRASE || undefined) };
}

/** The package however it can be read: {@link OvaStream} when it passes by once. */
export async function openEither(
  name: string,
  context: CommandContext,
  options: PackageOptions = {},
): Promise<SeekablePackage | { readonly stream: OvaStream; [Symbol.asyncDispose](): Promise<void> }> {
  const place = await openPlace(name, context, options);
  if (place.kind === 'stream') {
    const stream = await readOva(place.bytes, withPassphrase(context, options));
    return { stream, [Symbol.asyncDispose]: () => stream.close() };
  }
  const { source, form, path } = place;
  const opened = await openPackage(source, withPassphrase(context, options));
  return { opened, form, ...(path === undefined ? {} : { path }), [Symbol.asyncDispose]: () => opened.close() };
}
