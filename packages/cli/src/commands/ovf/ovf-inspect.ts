import { type OvaStream, type OvfPackage, verifySignature } from '@hypostyle/ovf';
import type { Command } from 'commander';
import { type CommandDefinition, optionsOf } from '../../command-context.ts';
import { answer } from '../../output/answer.ts';
import { describeSummary } from '../../ovf/describe-summary.ts';
import { openEither } from '../../ovf/open-package.ts';
import { summarize } from '../../ovf/package-summary.ts';
import { type PassphraseArguments, passphraseOf, passphraseOption } from '../../ovf/passphrase.ts';
import { repeat, trustedOf } from '../../ovf/signing-options.ts';

interface InspectOptions extends PassphraseArguments {
  readonly option?: string;
  readonly language?: string;
  readonly eula?: boolean;
  readonly lax?: boolean;
  readonly trust: readonly string[];
}

/** `hypo ovf inspect`: what a package is, before it is deployed. */
export const defineOvfInspect: CommandDefinition = (parent, context) => {
  const inspect = parent
    .command('inspect')
    .description('what is in a package: product, machines, disks, networks, properties, licences')
    .argument(
      '<package>',
      "an OVA, a descriptor, its folder, the address of one, or '-' for an OVA on the standard input",
    )
    .option('--option <id>', 'show the hardware of this deployment option')
    .option('--language <tag>', 'language of texts that the package has in several, such as de-DE')
    .option('--eula', 'show the licences in full')
    .option('--trust <file>', 'certificates in PEM whose signatures are believed; may be repeated', repeat, [])
    .option('--lax', 'take files that the descriptor does not name, and other things that do no harm');
  passphraseOption(inspect)
    .addHelpText(
      'after',
      `
The manifest's digests are not checked: 'hypo ovf verify' does that.

Examples:
  hypo ovf inspect appliance.ova
  hypo ovf inspect https://example.org/appliance.ova --json
  hypo ovf inspect appliance/ --option large --eula
  hypo ovf inspect sealed.ova --passphrase-file passphrase.txt`,
    )
    .action(async (name: string, _options: unknown, command: Command) => {
      const { option, language, eula = false, lax, trust } = optionsOf<InspectOptions>(command);
      const trusted = await trustedOf(trust, false);
      const passphrase = await passphraseOf(context, optionsOf<PassphraseArguments>(command));
      const rules = lax ? { rules: 'lax' as const } : {};
      await using place = await openEither(name, context, { damaged: true, passphrase, ...rules });
      const opened: OvfPackage | OvaStream = 'stream' in place ? place.stream : place.opened;
      const { envelope, descriptorName, warnings, manifest, manifestBytes, certificateBytes } = opened;
      const summary = summarize({
        envelope,
        descriptorName,
        warnings,
        manifest: [...new Set((manifest?.entries ?? []).map(({ algorithm }) => algorithm))],
        signature: verifySignature(manifestBytes, certificateBytes, { trusted }),
        ...(option === undefined ? {} : { option }),
        ...(language === undefined ? {} : { language }),
      });
      answer(context, command, summary, describeSummary(summary, { licences: eula }));
    });
};
