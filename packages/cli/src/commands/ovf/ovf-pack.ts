import { tmpdir } from 'node:os';
import { type CipherName, type DigestAlgorithm, type PackageChanges, saveArchive, streamArchive } from '@hypostyle/ovf';
import { type Command, Option } from 'commander';
import { type CommandContext, type CommandDefinition, optionsOf } from '../../command-context.ts';
import { CliError } from '../../errors.ts';
import { answer } from '../../output/answer.ts';
import { openSeekable, type SeekablePackage } from '../../ovf/open-package.ts';
import { neededPassphrase, type PassphraseArguments, passphraseOption } from '../../ovf/passphrase.ts';
import { parseDigest, parseSize, type SigningArguments, signerOf, signingOptions } from '../../ovf/signing-options.ts';
import { workProgress } from '../../ovf/work-progress.ts';

interface PackOptions extends SigningArguments, PassphraseArguments {
  readonly encrypt?: boolean;
  readonly decrypt?: boolean;
  readonly cipher?: CipherName;
  readonly digest?: DigestAlgorithm | false;
  readonly gzip?: boolean;
  readonly plain?: boolean;
  readonly chunkSize?: number;
  readonly force?: boolean;
  readonly lax?: boolean;
}

const ciphers: readonly CipherName[] = [
  'aes128-cbc',
  'aes192-cbc',
  'aes256-cbc',
  'aes128-gcm',
  'aes192-gcm',
  'aes256-gcm',
];

/** `hypo ovf pack`: an OVA of a descriptor with its files, or of another OVA. */
export const defineOvfPack: CommandDefinition = (parent, context) => {
  const pack = parent
    .command('pack')
    .description('make an OVA of a descriptor with its files, or another OVA of one')
    .argument('<package>', 'a descriptor, its folder, an OVA, or the address of a descriptor')
    .argument('<target>', "the OVA to write, or '-' for the standard output")
    .option('--digest <algorithm>', 'digests of the manifest: sha1, sha256, sha512 or none', parseDigest)
    .option('--gzip', 'compress the disks (ovf:compression)')
    .option('--chunk-size <size>', 'store longer files in chunks, such as 2GiB; 0 joins them', parseSize)
    .option('--plain', 'undo compression and chunks')
    .option('--encrypt', 'encrypt every file by a passphrase (EncryptionSection)')
    .addOption(
      new Option('--cipher <name>', 'for --encrypt: aes128-cbc, aes192-gcm …; aes256-cbc unless told').choices(ciphers),
    )
    .option('--decrypt', 'decrypt an encrypted package')
    .option('--force', 'replace the target')
    .option('--lax', 'leave out files that the descriptor does not name, rather than refuse them');
  signingOptions(passphraseOption(pack))
    .addHelpText(
      'after',
      `
A package that has a manifest is checked against it on the way. Manifest and signature stay as they are unless
something is to change; a new manifest is by SHA-256. The target appears when it is whole. An encrypted package keeps its
descriptor in the clear: only its files are encrypted.

Examples:
  hypo ovf pack appliance.ovf appliance.ova
  hypo ovf pack appliance/ appliance.ova --digest sha512 --key key.pem --certificate chain.pem
  hypo ovf pack big.ova small.ova --gzip --chunk-size 2GiB
  hypo ovf pack appliance.ova sealed.ova --encrypt --passphrase-file passphrase.txt
  hypo ovf pack appliance.ovf - | ssh host 'cat > appliance.ova'`,
    )
    .action(async (name: string, target: string, _options: unknown, command: Command) => {
      const options = optionsOf<PackOptions>(command);
      const changes = await changesOf(context, options);
      const passphrase = options.decrypt ? await neededPassphrase(context, options, false) : undefined;
      const rules = options.lax ? { rules: 'lax' as const } : {};
      await using source = await openSeekable(name, context, { passphrase, ...rules });
      await writeArchive(context, source, target, changes, options.force ?? false);
      if (target !== '-') answer(context, command, { package: target }, `${target}: written`);
    });
};

async function changesOf(context: CommandContext, options: PackOptions): Promise<PackageChanges> {
  const { digest, gzip, plain, chunkSize } = options;
  if (plain && (gzip || chunkSize)) {
    throw new CliError('usage', 'A package cannot be plain and compressed or in chunks.', {
      next: 'Leave out --plain, or the others.',
    });
  }
  const { encrypt, decrypt, cipher } = options;
  if ((encrypt && decrypt) || (cipher !== undefined && !encrypt)) {
    throw new CliError('usage', encrypt ? 'A package is encrypted or decrypted.' : 'A cipher is for --encrypt.', {
      next: 'Leave out one of --encrypt, --decrypt and --cipher.',
    });
  }
  const signer = await signerOf(context, options);
  if (signer !== undefined && digest === false) {
    throw new CliError('usage', 'A signature is over the manifest.', { next: 'Leave out --digest none.' });
  }
  const passphrase = encrypt ? await neededPassphrase(context, options, true) : undefined;
  return {
    ...(passphrase === undefined ? {} : { encryption: { passphrase, ...(cipher === undefined ? {} : { cipher }) } }),
    ...(decrypt ? { encryption: 'none' as const } : {}),
    ...(digest === undefined ? {} : { digest }),
    ...(signer === undefined ? {} : { signer }),
    ...(gzip ? { compression: 'gzip' as const } : plain ? { compression: 'none' as const } : {}),
    ...(chunkSize !== undefined ? { chunkBytes: chunkSize } : plain ? { chunkBytes: 0 } : {}),
  };
}

/** Writes an OVA with a bar, to a file or the standard output. */
export async function writeArchive(
  context: CommandContext,
  { opened }: SeekablePackage,
  target: string,
  changes: PackageChanges,
  overwrite: boolean,
): Promise<void> {
  const { terminal, signal } = context;
  const progress = workProgress(terminal, 'Packing');
  const options = { ...changes, overwrite, signal, onProgress: progress.onProgress };
  try {
    if (target !== '-') {
      await saveArchive(opened, target, options);
      return;
    }
    if (terminal.output.isTTY) {
      throw new CliError('usage', 'The standard output is the terminal.', { next: 'Send it to a file or a pipe.' });
    }
    await streamArchive(opened, terminal.output, { ...options, scratchFolder: tmpdir() });
  } finally {
    progress.end();
  }
}
