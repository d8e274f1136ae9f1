import type { Command } from 'commander';
import { type CommandContext, onServer, optionsOf } from '../../command-context.ts';
import { CliError } from '../../errors.ts';
import { findMachine } from '../../inventory/find-object.ts';
import { machinePlace } from '../../inventory/machine-place.ts';
import { runTask } from '../../inventory/run-task.ts';
import { answer } from '../../output/answer.ts';

interface InstantCloneOptions {
  readonly folder?: string;
  readonly pool?: string;
  readonly set: readonly string[];
}

/** `hypo vm instant-clone`: a machine that goes on from where another one is that runs. */
export function defineInstantClone(vm: Command, context: CommandContext): void {
  vm.command('instant-clone')
    .description('make a machine that goes on from where another one is that runs, with its memory')
    .argument('<machine>', 'name, path or id of the original')
    .argument('<name>', 'name of the clone')
    .option('--folder <path>', 'folder of machines; that of the original unless told')
    .option('--pool <name>', 'resource pool, vApp or cluster; that of the original unless told')
    .option('--set <key=value>', 'a setting of the clone, such as guestinfo.role=worker; may be repeated', collect, [])
    .addHelpText(
      'after',
      `
Examples:
  hypo vm instant-clone web web2
  hypo vm instant-clone builder job7 --set guestinfo.job=7 --folder jobs`,
    )
    .action(async (machine: string, name: string, _options: unknown, command: Command) => {
      const { folder, pool, set } = optionsOf<InstantCloneOptions>(command);
      const config = set.map(settingOf);
      const made = await onServer(command, context, async (session) => {
        const { ref } = await findMachine(session, machine);
        const place =
          folder === undefined && pool === undefined
            ? undefined
            : await machinePlace(session, { datacenter: undefined, folder, pool, host: undefined });
        const location = {
          ...(folder === undefined || place === undefined ? {} : { folder: place.folder }),
          ...(pool === undefined || place === undefined ? {} : { pool: place.pool }),
        };
        const result = await runTask(session, context, name, async () =>
          session.client.call(ref, 'InstantClone_Task', {
            spec: { name, location, ...(config.length === 0 ? {} : { config }) } as never,
          }),
        );
        return { name, id: (result as { readonly value?: string } | undefined)?.value ?? '' };
      });
      answer(context, command, made, `${name}: goes on from ${machine}`);
    });
}

function collect(value: string, before: readonly string[]): readonly string[] {
  return [...before, value];
}

function settingOf(text: string) {
  const at = text.indexOf('=');
  if (at <= 0) throw new CliError('usage', `--set ${text} is no key=value.`);
  return { _typeName: 'OptionValue', key: text.slice(0, at), value: text.slice(at + 1) };
}
