import type { Command } from 'commander';
import type { CommandContext } from '../command-context.ts';
import { readSecret } from '../connection/secret.ts';

export interface PassphraseArguments {
  readonly passphraseFile?: string;
}

/** Adds the option of the commands that read encrypted packages. */
export function passphraseOption(command: Command): Command {
  return command.option(
    '--passphrase-file <file>',
    'file whose first line is the passphrase of an encrypted package (or HYPOSTYLE_OVF_PASSPHRASE)',
  );
}

/** The passphrase from a file or the environment; never from an argument, which everybody can see. */
export async function passphraseOf(
  context: CommandContext,
  { passphraseFile: file }: PassphraseArguments,
): Promise<string | undefined> {
  if (file !== undefined) return readSecret(context, { ...secret, file });
  return context.environment.HYPOSTYLE_OVF_PASSPHRASE || undefined;
}

/** {@link passphraseOf}, asked of the person where neither has it. */
export async function neededPassphrase(
  context: CommandContext,
  options: PassphraseArguments,
  fresh: boolean,
): Promise<string> {
  return (await passphraseOf(context, options)) ?? (await readSecret(context, { ...secret, file: undefined, fresh }));
}

const secret = { whose: 'the package', option: '--passphrase-file' } as const;
