import type { CommandDefinition } from '../command-context.ts';
import { completionPlaces } from '../completion/command-tree.ts';
import { completionScript, type Shell, shells } from '../completion/scripts.ts';
import { CliError } from '../errors.ts';

/** `hypo completion`: scripts for shells, made from the commands themselves. */
export const defineCompletion: CommandDefinition = (program, context) => {
  program
    .command('completion')
    .description('print the script that makes a shell complete this command')
    .argument('<shell>', 'bash, zsh or fish')
    .addHelpText(
      'after',
      `
Examples:
  source <(hypo completion bash)
  source <(hypo completion zsh)
  hypo completion fish | source`,
    )
    .action((shell: string) => {
      if (!shells.some((known) => known === shell)) {
        throw new CliError('usage', `'${shell}' is no shell that is known here.`, {
          next: `Use ${shells.join(', ')}.`,
        });
      }
      context.terminal.output.write(completionScript(shell as Shell, completionPlaces(program)));
    });
};
