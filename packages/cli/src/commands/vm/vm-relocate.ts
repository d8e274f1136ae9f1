import { type Command, Option } from 'commander';
import { type CommandContext, onServer, optionsOf } from '../../command-context.ts';
import { CliError } from '../../errors.ts';
import { datastoreNamed } from '../../inventory/datastore-named.ts';
import { diskLocators } from '../../inventory/disk-places.ts';
import { findMachine } from '../../inventory/find-object.ts';
import { runTask } from '../../inventory/run-task.ts';
import { answer } from '../../output/answer.ts';
import { repeat } from '../../ovf/signing-options.ts';

interface RelocateOptions {
  readonly datastore?: string;
  readonly disks?: 'thin' | 'thick';
  readonly disk: readonly string[];
}

/** `hypo vm relocate`: a machine's files, or single disks, to another datastore or with other room. */
export function defineRelocate(vm: Command, context: CommandContext): void {
  vm.command('relocate')
    .description('move the files of a machine, which may run meanwhile')
    .argument('<machine>', 'name, path or id of the machine')
    .option('--datastore <name>', 'where they go')
    .addOption(new Option('--disks <kind>', 'room of its disks; as it is unless told').choices(['thin', 'thick']))
    .option(
      '--disk <disk=datastore>',
      "where one disk goes, with ',thin', ',thick' or ',eager' for its room; may be repeated",
      repeat,
      [],
    )
    .addHelpText(
      'after',
      `
Without --datastore all but the named disks stay where they are; with it all but those go there.

Examples:
  hypo vm relocate web --datastore fast
  hypo vm relocate web --disks thick
  hypo vm relocate web --disk disk-1000-1=fast,thin
  hypo vm relocate web --datastore fast --disk 'Hard disk 2=archive'`,
    )
    .action(async (machine: string, _options: unknown, command: Command) => {
      const { datastore, disks, disk } = optionsOf<RelocateOptions>(command);
      if (datastore === undefined && disks === undefined && disk.length === 0) {
        throw new CliError('usage', 'Nothing is to be changed.', { next: 'Give --datastore, --disks or --disk.' });
      }
      const moved = await onServer(command, context, async (session) => {
        const { ref, name } = await findMachine(session, machine);
        const spec = {
          ...(datastore === undefined ? {} : { datastore: await datastoreNamed(session, datastore) }),
          ...(disks === undefined ? {} : { transform: disks === 'thin' ? 'sparse' : 'flat' }),
          ...(disk.length === 0 ? {} : { disk: await diskLocators(session, machine, disk) }),
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
