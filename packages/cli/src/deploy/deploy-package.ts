import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import {
  type Envelope,
  formatEnvelope,
  isEncrypted,
  OvfError,
  type OvfPackage,
  openOvf,
  openPackage,
  readOva,
  withoutEncryption,
} from '@hypostyle/ovf';
import { CliError } from '../errors.ts';
import { localArchive, type PackagePlace } from './package-place.ts';
import { fetchBody, webFolderSource } from './web-source.ts';

/** One file of a package on its way to the server. */
export interface PackageFile {
  /** As the descriptor references it. */
  readonly href: string;
  /** The content, decompressed; ends with an error when it is not what the manifest says. */
  readonly content: AsyncIterable<Uint8Array>;
}

/** A package as a deployment reads it: the descriptor at once, the files one after another. */
export interface DeployPackage extends AsyncDisposable {
  readonly descriptor: string;
  readonly envelope: Envelope;
  readonly warnings: readonly string[];
  /** What the package has to prove its origin; not complete while it may still come behind the files. */
  readonly signed: { readonly manifest?: Uint8Array; readonly certificate?: Uint8Array; readonly complete: boolean };
  /** The files can be read as often as one likes. */
  readonly again: boolean;
  /** Where a server may find the files by itself; absent where it cannot. */
  readonly place?: PackagePlace;
  /** The wanted files, in the order in which they come cheapest; each is to be read before the next. */
  files(wanted: readonly string[]): AsyncIterable<PackageFile>;
}

/** Opens an OVA, an OVF descriptor with its files beside it, or the address of either. */
export async function openDeployPackage(
  source: string,
  signal: AbortSignal,
  passphrase?: string,
): Promise<DeployPackage> {
  const options = { passphrase };
  if (/^https?:\/\//i.test(source)) {
    const url = new URL(source);
    return /\.ovf$/i.test(url.pathname)
      ? inAnyOrder(await openPackage(webFolderSource(url, signal), options), passphrase)
      : streamed(await fetchBody(url, signal), options);
  }
  const status = await stat(source).catch((cause: unknown) => {
    throw new CliError('not-found', `${source} cannot be read: ${cause instanceof Error ? cause.message : cause}.`, {
      cause,
    });
  });
  // An OVA is a tar, whatever it is called; a pipe or the like can only be read once.
  if (/\.ovf$/i.test(source)) return inAnyOrder(await openOvf(source, options), passphrase);
  if (status.isFile()) {
    const ovf = await openOvf(source, options);
    return { ...inAnyOrder(ovf, passphrase), place: await localArchive(source, ovf.envelope) };
  }
  return streamed(createReadStream(source), options);
}

function inAnyOrder(ovf: OvfPackage, passphrase?: string): DeployPackage {
  return {
    descriptor: sentDescriptor(ovf, passphrase),
    envelope: ovf.envelope,
    warnings: ovf.warnings.map(({ detail }) => detail),
    signed: signedBy(ovf, true),
    again: true,
    async *files(wanted) {
      for (const href of wanted) yield { href, content: ovf.open(href) };
    },
    [Symbol.asyncDispose]: () => ovf.close(),
  };
}

/** An OVA that passes by once, such as one from the web. */
export async function streamed(
  source: AsyncIterable<Uint8Array>,
  options: { readonly passphrase?: string | undefined } = {},
): Promise<DeployPackage> {
  const ova = await readOva(source, options);
  return {
    descriptor: sentDescriptor(ova, options.passphrase),
    envelope: ova.envelope,
    warnings: ova.warnings.map(({ detail }) => detail),
    signed: signedBy(ova, ova.manifestBytes !== undefined),
    again: false,
    async *files(wanted) {
      const missing = new Set(wanted);
      // To the end, even when all that is wanted has come: a manifest that comes last is checked there.
      for await (const { reference, content } of ova.contents()) {
        if (missing.delete(reference.href)) yield { href: reference.href, content };
      }
      const [first] = missing;
      if (first !== undefined) throw new CliError('failed', `${first} is not in the package.`);
    },
    [Symbol.asyncDispose]: () => ova.close(),
  };
}

function signedBy(
  { manifestBytes, certificateBytes }: Pick<OvfPackage, 'manifestBytes' | 'certificateBytes'>,
  complete: boolean,
): DeployPackage['signed'] {
  return {
    complete,
    ...(manifestBytes === undefined ? {} : { manifest: manifestBytes }),
    ...(certificateBytes === undefined ? {} : { certificate: certificateBytes }),
  };
}

/**
 * What the server is told of the package: it is sent the content in the clear, so nothing of it says that it is encrypted.
 * Throws `encrypted` where the passphrase is missing, before anything is made.
 */
function sentDescriptor(
  { descriptor, envelope }: Pick<OvfPackage, 'descriptor' | 'envelope'>,
  passphrase: string | undefined,
): string {
  const [first] = envelope.files.filter((file) => isEncrypted(envelope, file));
  if (first === undefined && envelope.encryption === undefined) return textOf(descriptor);
  if (passphrase === undefined && first !== undefined)
    throw new OvfError('encrypted', 'it takes the passphrase of the package', { file: first.href });
  return formatEnvelope(withoutEncryption(envelope));
}

function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
