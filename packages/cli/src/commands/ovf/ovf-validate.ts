import { formatIssue, validatePackage } from '@hypostyle/ovf';
import type { Command } from 'commander';
import { type CommandDefinition, optionsOf } from '../../command-context.ts';
import { CliError } from '../../errors.ts';
import { answer } from '../../output/answer.ts';
import { printable } from '../../output/table.ts';
import { openPlace } from '../../ovf/open-package.ts';
import { type PassphraseArguments, passphraseOf, passphraseOption } from '../../ovf/passphrase.ts';

/** `hypo ovf validate`: a package against schema and text of the specification. */
export const defineOvfValidate: CommandDefinition = (parent, context) => {
  const validate = parent
    .command('validate')
    .description('check a package against the schemas and the rules of the OVF specification')
    .argument('<package>', 'an OVA, a descriptor, its folder, or the address of a descriptor')
    .option('--lax', 'complain only of what keeps it from being deployed');
  passphraseOption(validate)
    .addHelpText(
      'after',
      `
Each finding names section, line and rule. A descriptor with none of its
files beside it is checked by itself. Digests are not checked: 'hypo ovf verify' does that.

Exit codes: 0 valid, 1 not valid.

Examples:
  hypo ovf validate appliance.ovf
  hypo ovf validate appliance.ova --lax --json`,
    )
    .action(async (name: string, _options: unknown, command: Command) => {
      const { lax } = optionsOf<{ readonly lax?: boolean }>(command);
      const passphrase = await passphraseOf(context, optionsOf<PassphraseArguments>(command));
      const place = await openPlace(name, context, { rules: 'lax' });
      if (place.kind === 'stream') {
        throw new CliError('usage', `${name} passes by only once, and validation reads it in any order.`, {
          next: 'Put it into a file first.',
        });
      }
      try {
        const issues = await validatePackage(place.source, {
          mode: lax ? 'lax' : 'strict',
          passphrase,
          alone: /\.ovf$/i.test(name),
        });
        const errors = issues.filter(({ severity }) => severity === 'error').length;
        const valid = errors === 0;
        const lines = issues.map((issue) => printable(formatIssue(issue)));
        const sum = valid ? 'valid' : `not valid, ${errors === 1 ? 'one error' : `${errors} errors`}`;
        answer(context, command, { package: name, valid, issues }, [...lines, `${name}: ${sum}`].join('\n'));
        if (!valid) throw new CliError('failed', `${name} is not valid.`);
      } finally {
        await place.source.close();
      }
    });
};
