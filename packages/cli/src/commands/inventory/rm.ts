import type { Command } from 'commander';
import { type CommandContext, type CommandDefinition, onServer, optionsOf } from '../../command-context.ts';
import { CliError } from '../../errors.ts';
import { findObjects } from '../../inventory/find-object.ts';
import { runTask, withName } from '../../inventory/run-task.ts';
import { print, printJson } from '../../output/terminal.ts';

interface RemoveOptions {
  readonly force?: boolean;
  readonly keepFiles?: boolean;
}

/** `hypo rm`: machines away, with their files. */
export const defineRm: CommandDefinition = (program, context) => {
  program
    .command('rm')
    .description('remove machines and their files')
    .argument('<machines...>', 'names, paths or ids')
    .option('--force', 'power off those that run')
    .option('--keep-files', 'only forget them; hypo register takes them up again')
    .addHelpText('after', '\nExamples:\n  hypo rm web\n  hypo rm --force web db\n  hypo rm --keep-files web')
    .action((names: string[], _options: unknown, command: Command) =>
      remove(command, context, names, optionsOf<RemoveOptions>(command)),
    );
};

/** `hypo vm destroy` and `hypo vm unregister`, as people know them from other tools. */
export const defineDestroy: CommandDefinition = (vm, context) => {
  vm.command('destroy')
    .description('remove machines and their files')
    .argument('<machines...>', 'names, paths or ids')
    .option('--force', 'power off those that run')
    .addHelpText('after', '\nExample:\n  hypo vm destroy --force web db')
    .action((names: string[], _options: unknown, command: Command) =>
      remove(command, context, names, optionsOf<RemoveOptions>(command)),
    );
  vm.command('unregister')
    .description('forget machines; their files stay, and hypo vm register takes them up again')
    .argument('<machines...>', 'names, paths or ids')
    .option('--force', 'power off those that run')
    .addHelpText('after', '\nExample:\n  hypo vm unregister web')
    .action((names: string[], _options: unknown, command: Command) =>
      remove(command, context, names, { ...optionsOf<RemoveOptions>(command), keepFiles: true }),
    );
};

async function remove(
  command: Command,
  context: CommandContext,
  names: readonly string[],
  { force = false, keepFiles = false }: RemoveOptions,
): Promise<void> {
  const { json } = optionsOf(command);
  await onServer(command, context, async (session) => {
    const { client } = session;
    const machines = await findObjects(session, 'VirtualMachine', names);
    for (const { ref, name } of machines) {
      const [found] = await client.retrieve(ref, ['runtime']);
      if (found?.values.runtime?.powerState === 'poweredOn') {
        if (!force)
          throw new CliError('failed', `${name} is powered on.`, { next: 'Power it off first, or use --force.' });
        await runTask(session, context, name, () => client.call(ref, 'PowerOffVM_Task', {}));
      }
      if (keepFiles)
        await client.call(ref, 'UnregisterVM', {}).catch((error: unknown) => {
          throw withName(name, error);
        });
      else await runTask(session, context, name, () => client.call(ref, 'Destroy_Task', {}));
      if (!json) print(context.terminal, `${name}: ${keepFiles ? 'forgotten' : 'removed'}`);
    }
    if (json)
      printJson(
        context.terminal,
        machines.map(({ name }) => ({ name })),
      );
  });
}
