import { type PackageOptions, saveFolder, unpackStream } from '@hypostyle/ovf';
import type { Command } from 'commander';
import { type CommandDefinition, optionsOf } from '../../command-context.ts';
import { CliError } from '../../errors.ts';
import { answer } from '../../output/answer.ts';
import { openEither } from '../../ovf/open-package.ts';
import { neededPassphrase, type PassphraseArguments, passphraseOption } from '../../ovf/passphrase.ts';
import { workProgress } from '../../ovf/work-progress.ts';

interface UnpackOptions extends PassphraseArguments {
  readonly decrypt?: boolean;
  readonly plain?: boolean;
  readonly lax?: boolean;
  readonly verify: boolean;
}

/** `hypo ovf unpack`: an OVA as a folder. */
export const defineOvfUnpack: CommandDefinition = (parent, context) => {
  const unpack = parent
    .command('unpack')
    .description('take an OVA apart into a folder with its descriptor, manifest and files')
    .argument(
      '<package>',
      "an OVA, a descriptor, its folder, the address of one, or '-' for an OVA on the standard input",
    )
    .argument('<folder>', 'folder to make; it may be there already when it is empty')
    .option('--plain', 'undo compression and chunks, with a new descriptor and manifest')
    .option('--lax', 'take files that the descriptor does not name, and other things that do no harm')
    .option('--decrypt', 'decrypt an encrypted package, with a new descriptor and manifest')
    .option('--no-verify', 'do not look at the manifest, to save what can be saved of a damaged package');
  passphraseOption(unpack)
    .addHelpText(
      'after',
      `
Every file is checked against the manifest on the way. The folder appears when it is whole; nothing in the archive can
lead out of it.

Examples:
  hypo ovf unpack appliance.ova appliance
  curl -s https://example.org/appliance.ova | hypo ovf unpack - appliance`,
    )
    .action(async (name: string, folder: string, _options: unknown, command: Command) => {
      const { plain, lax, verify, decrypt, ...secret } = optionsOf<UnpackOptions>(command);
      const passphrase = decrypt ? await neededPassphrase(context, secret, false) : undefined;
      const options: PackageOptions = {
        passphrase,
        ...(lax ? { rules: 'lax' } : {}),
        ...(verify ? {} : { manifest: 'ignore' }),
      };
      const progress = workProgress(context.terminal, 'Unpacking');
      const saving = { signal: context.signal, onProgress: progress.onProgress };
      await using place = await openEither(name, context, options);
      try {
        if ('stream' in place && !plain && !decrypt) await unpackStream(place.stream, folder, saving);
        else if ('stream' in place) {
          throw new CliError('usage', `${name} passes by only once: its descriptor cannot be made anew.`, {
            next: 'Leave out --plain and --decrypt, or put the OVA into a file first.',
          });
        } else {
          const changes = {
            ...(plain ? { compression: 'none' as const, chunkBytes: 0 } : {}),
            ...(decrypt ? { encryption: 'none' as const } : {}),
          };
          await saveFolder(place.opened, folder, { ...saving, ...changes });
        }
      } finally {
        progress.end();
      }
      answer(context, command, { package: folder }, `${folder}: unpacked`);
    });
};
