import type { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { getCACertificates } from 'node:tls';
import { type DigestAlgorithm, type ManifestSigner, manifestSigner, OvfError, readCertificates } from '@hypostyle/ovf';
import { type Command, InvalidArgumentError } from 'commander';
import type { CommandContext } from '../command-context.ts';
import { readSecret } from '../connection/secret.ts';
import { CliError } from '../errors.ts';

export interface SigningArguments {
  readonly key?: string;
  readonly certificate: readonly string[];
  readonly keyPasswordFile?: string;
}

/** Options of the commands that sign. */
export function signingOptions(command: Command): Command {
  return command
    .option('--key <file>', 'private key in PEM that signs: RSA or ECDSA')
    .option(
      '--certificate <file>',
      'certificate of the key in PEM, and those of its issuers; may be repeated',
      repeat,
      [],
    )
    .option('--key-password-file <file>', 'file whose first line is the password of the key');
}

/** Who signs by a command's options; absent when none of them is there. Throws `usage`. */
export async function signerOf(
  context: CommandContext,
  { key, certificate, keyPasswordFile }: SigningArguments,
): Promise<ManifestSigner | undefined> {
  if (key === undefined && certificate.length === 0) return undefined;
  if (key === undefined || certificate.length === 0) {
    throw new CliError('usage', 'Signing takes a key and its certificate.', {
      next: 'Give both --key and --certificate.',
    });
  }
  const read = (path: string) => fileText(path);
  const certificates = (await Promise.all(certificate.map(read))).join('\n');
  const keyText = await read(key);
  const encrypted = /ENCRYPTED/.test(keyText);
  const passphrase =
    encrypted || keyPasswordFile !== undefined
      ? await readSecret(context, { whose: key, option: '--key-password-file', file: keyPasswordFile })
      : undefined;
  try {
    return manifestSigner({ key: keyText, certificates, ...(passphrase === undefined ? {} : { passphrase }) });
  } catch (cause) {
    if (!(cause instanceof OvfError)) throw cause;
    throw new CliError('usage', `${cause.message}.`, { next: 'Check --key and --certificate.', cause });
  }
}

/** Certificates that are believed, from files and, where asked for, the system's own. Throws `usage`. */
export async function trustedOf(files: readonly string[], system: boolean): Promise<X509Certificate[]> {
  const texts = await Promise.all(files.map(fileText));
  try {
    const given = texts.flatMap((text) => readCertificates(text));
    return system ? [...given, ...getCACertificates('system').flatMap((text) => readCertificates(text))] : given;
  } catch (cause) {
    if (!(cause instanceof OvfError)) throw cause;
    throw new CliError('usage', `${cause.message}.`, { next: 'Give certificates in PEM with --trust.', cause });
  }
}

async function fileText(path: string): Promise<string> {
  return readFile(path, 'utf8').catch((cause: unknown) => {
    throw new CliError('usage', `${path} cannot be read: ${cause instanceof Error ? cause.message : cause}.`, {
      cause,
    });
  });
}

/** `sha1`, `sha256`, `sha512`; `none` where it may be left out. */
export function parseDigest(text: string): DigestAlgorithm | false {
  const known: Readonly<Record<string, DigestAlgorithm | false>> = {
    sha1: 'SHA1',
    sha256: 'SHA256',
    sha512: 'SHA512',
    none: false,
  };
  const digest = known[text.toLowerCase()];
  if (digest === undefined) throw new InvalidArgumentError('Use sha1, sha256, sha512 or none.');
  return digest;
}

const factors: Readonly<Record<string, number>> = { '': 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 };

/** `2GiB`, `700M`, `4096`. */
export function parseSize(text: string): number {
  const match = /^(\d{1,15})\s*([KMGT]?)(?:i?B)?$/i.exec(text.trim());
  const bytes = match === null ? Number.NaN : Number(match[1]) * factors[match[2]!.toUpperCase()]!;
  if (!Number.isSafeInteger(bytes) || bytes < 0)
    throw new InvalidArgumentError('Write it as 2GiB, 700MiB or in bytes.');
  return bytes;
}

export function repeat(text: string, before: readonly string[]): readonly string[] {
  return [...before, text];
}
