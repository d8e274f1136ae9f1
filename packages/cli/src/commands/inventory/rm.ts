import type { Command } from 'commander';
import { type CommandDefinition, onServer, optionsOf } from '../../command-context.ts';
import { CliError } from '../../errors.ts';
import { findObjects } from '../../inventory/find-object.ts';
import { runTask, withName } from '../../inventory/run-task.ts';
import { print, printJson } from '../../output/terminal.ts';

/** `hypo rm`: machines away, with their files. */
export const defineRm: CommandDefinition = (program, context) => {
  program
    .command('rm')
    .description('remove machines and their files')
    .argument('<machines...>', 'names, paths or ids')
    .option('--force', 'power off those that run')
    .option('--keep-files', 'only forget them; hypo register takes them up again')
    .addHelpText('after', '\nExamples:\n  hypo rm web\n  hypo rm --force web db\n  hypo rm --keep-files web')
    .action(async (names: string[], _options: unknown, command: Command) => {
      const options = optionsOf<{ force?: boolean; keepFiles?: boolean }>(command);
      await onServer(command, context, async (session) => {
        const { client } = session;
        const machines = await findObjects(session, 'VirtualMachine', names);
        for (const { ref, name } of machines) {
          const [found] = await client.retrieve(ref, ['runtime']);
          if (found?.values.runtime?.powerState === 'poweredOn') {
            if (!options.force) {
              throw new CliError('failed', `${name} is powered on.`, { next: 'Power it off first, or use --force.' });
            }
            await runTask(session, context, name, () => client.call(ref, 'PowerOffVM_Task', {}));
          }
          if (options.keepFiles) {
            await client.call(ref, 'UnregisterVM', {}).catch((error: unknown) => {
              throw withName(name, error);
            });
          } else await runTask(session, context, name, () => client.call(ref, 'Destroy_Task', {}));
          if (!options.json) print(context.terminal, `${name}: ${options.keepFiles ? 'forgotten' : 'removed'}`);
        }
        if (options.json)
          printJson(
            context.terminal,
            machines.map(({ name }) => ({ name })),
          );
      });
    });
};
