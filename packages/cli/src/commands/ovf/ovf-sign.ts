import { type DigestAlgorithm, saveArchive, saveFolder, signFolder } from '@hypostyle/ovf';
import type { Command } from 'commander';
import { type CommandDefinition, optionsOf } from '../../command-context.ts';
import { CliError } from '../../errors.ts';
import { answer } from '../../output/answer.ts';
import { openSeekable } from '../../ovf/open-package.ts';
import { parseDigest, type SigningArguments, signerOf, signingOptions } from '../../ovf/signing-options.ts';
import { workProgress } from '../../ovf/work-progress.ts';

interface SignOptions extends SigningArguments {
  readonly digest?: DigestAlgorithm | false;
  readonly output?: string;
  readonly force?: boolean;
}

/** `hypo ovf sign`: a manifest and its signature for a package. */
export const defineOvfSign: CommandDefinition = (parent, context) => {
  const sign = parent
    .command('sign')
    .description('sign a package: a new manifest, and a certificate file that signs it')
    .argument('<package>', 'an OVA, a descriptor, or its folder')
    .option('--output <target>', 'write another package, an OVA or a folder, and leave this one as it is')
    .option('--digest <algorithm>', 'digests of the manifest: sha1, sha256 or sha512', parseDigest)
    .option('--force', 'replace the output');
  signingOptions(sign)
    .addHelpText(
      'after',
      `
Without --output an OVA is replaced by its signed self once that is whole; beside a descriptor the two files are written.
A package that does not match the manifest that it has is not signed.

Examples:
  hypo ovf sign appliance.ova --key key.pem --certificate chain.pem
  hypo ovf sign appliance.ovf --key key.pem --certificate signer.pem --certificate issuer.pem --digest sha512`,
    )
    .action(async (name: string, _options: unknown, command: Command) => {
      const options = optionsOf<SignOptions>(command);
      const signer = await signerOf(context, options);
      if (signer === undefined) {
        throw new CliError('usage', 'Signing takes a key and its certificate.', {
          next: 'Give both --key and --certificate.',
        });
      }
      if (options.digest === false) {
        throw new CliError('usage', 'A signature is over the manifest.', { next: 'Leave out --digest none.' });
      }
      await using source = await openSeekable(name, context);
      const { opened, form, path } = source;
      const target = options.output ?? path;
      if (target === undefined) {
        throw new CliError('usage', `${name} cannot be written to.`, { next: 'Name a file or folder with --output.' });
      }
      const progress = workProgress(context.terminal, 'Signing');
      const digest = options.digest ?? 'SHA256';
      const saving = { signer, digest, signal: context.signal, onProgress: progress.onProgress };
      try {
        if (options.output === undefined && form === 'folder') {
          await signFolder(opened, target, { signer, digest, signal: context.signal });
        } else if (/\.ova$/i.test(target) || options.output === undefined) {
          const overwrite = options.output === undefined || options.force === true;
          await saveArchive(opened, target, { ...saving, overwrite });
        } else await saveFolder(opened, target, saving);
      } finally {
        progress.end();
      }
      const by = signer.signer.subject.split('\n').at(-1) ?? '';
      answer(context, command, { package: target, signer: signer.signer.subject }, `${target}: signed by ${by}`);
    });
};
