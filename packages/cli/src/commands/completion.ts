import type { Command } from 'commander';
import { type CommandDefinition, onServer } from '../command-context.ts';
import { completionPlaces } from '../completion/command-tree.ts';
import { completionScript, type Shell, shells } from '../completion/scripts.ts';
import { CliError } from '../errors.ts';
import { listObjects } from '../inventory/walk.ts';
import { print } from '../output/terminal.ts';

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
  program
    .command('__machines', { hidden: true })
    .description('names of machines, for completion')
    .action(async (_options: unknown, command: Command) => {
      const machines = await onServer(command, context, (session) => listObjects(session, 'VirtualMachine'));
      for (const { name } of machines) print(context.terminal, name);
    });
};
