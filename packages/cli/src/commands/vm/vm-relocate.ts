import { type Command, Option } from 'commander';
import { type CommandContext, onServer, optionsOf } from '../../command-context.ts';
import { CliError } from '../../errors.ts';
import { datastoreNamed } from '../../inventory/datastore-named.ts';
import { findMachine } from '../../inventory/find-object.ts';
import { runTask } from '../../inventory/run-task.ts';
import { answer } from '../../output/answer.ts';

interface RelocateOptions {
  readonly datastore?: string;
  readonly disks?: 'thin' | 'thick';
}

/** `hypo vm relocate`: a machine's files, to another datastore or with other room. */
export function defineRelocate(vm: Command, context: CommandContext): void {
  vm.command('relocate')
    .description('move the files of a machine, which may run meanwhile')
    .argument('<machine>', 'name, path or id of the machine')
    .option('--datastore <name>', 'where they go')
    .addOption(new Option('--disks <kind>', 'room of its disks; as it is unless told').choices(['thin', 'thick']))
    .addHelpText('after', '\nExamples:\n  hypo vm relocate web --datastore fast\n  hypo vm relocate web --disks thick')
    .action(async (machine: string, _options: unknown, command: Command) => {
      const { datastore, disks } = optionsOf<RelocateOptions>(command);
      if (datastore === undefined && disks === undefined) {
        throw new CliError('usage', 'Nothing is to be changed.', { next: 'Give --datastore, --disks, or both.' });
      }
      const moved = await onServer(command, context, async (session) => {
        const { ref, name } = await findMachine(session, machine);
        const spec = {
          ...(datastore === undefined ? {} : { datastore: await datastoreNamed(session, datastore) }),
          ...(disks === undefined ? {} : { transform: disks === 'thin' ? 'sparse' : 'flat' }),
        };
        await runTask(session, context, name, () =>
          session.client.call(ref, 'RelocateVM_Task', { spec: spec as never }),
        );
        const [found] = await session.client.retrieve(ref, ['config.files.vmPathName']);
        return { name, path: String(found?.values['config.files.vmPathName'] ?? '') };
      });
      answer(context, command, moved, `${moved.name}: is at ${moved.path}`);
    });
}
