import { type Command, Option } from 'commander';
import { type CommandContext, onServer, optionsOf } from '../../command-context.ts';
import { CliError } from '../../errors.ts';
import { datastoreNamed } from '../../inventory/datastore-named.ts';
import { datastoreOnHost } from '../../inventory/datastore-on-host.ts';
import { findMachine } from '../../inventory/find-object.ts';
import { machinePlace } from '../../inventory/machine-place.ts';
import { runTask } from '../../inventory/run-task.ts';
import { answer } from '../../output/answer.ts';

interface MigrateOptions {
  readonly host?: string;
  readonly pool?: string;
  readonly folder?: string;
  readonly datastore?: string;
  readonly disks?: 'thin' | 'thick';
}

/** `hypo vm migrate`: a machine that is off, to another host of the center. */
export function defineMigrate(vm: Command, context: CommandContext): void {
  vm.command('migrate')
    .description('move a machine that is off, with its snapshots, to another host')
    .argument('<machine>', 'name, path or id of the machine')
    .option('--host <name>', 'host that it comes to')
    .option('--pool <name>', 'pool, or cluster, that it comes to; that of the host unless told')
    .option('--folder <path>', 'folder that it comes to; it stays in its own unless told')
    .option('--datastore <name>', 'where its files go; to the one with most room, where the host has not their own')
    .addOption(new Option('--disks <kind>', 'room of its disks; as it is unless told').choices(['thin', 'thick']))
    .addHelpText(
      'after',
      `
Examples:
  hypo vm migrate web --host esx2
  hypo vm migrate web --host esx2 --datastore fast --disks thin
  hypo vm migrate web --pool production`,
    )
    .action(async (machine: string, _options: unknown, command: Command) => {
      const options = optionsOf<MigrateOptions>(command);
      const { host, pool, folder, datastore, disks } = options;
      if (host === undefined && pool === undefined)
        throw new CliError('usage', 'Where is it to go?', { next: 'Give --host, or --pool.' });
      const moved = await onServer(command, context, async (session) => {
        const { ref, name } = await findMachine(session, machine);
        const place = await machinePlace(session, { host, pool, folder, datastore });
        const chosen =
          datastore === undefined
            ? await datastoreOnHost(session, ref, place.host)
            : await datastoreNamed(session, datastore);
        const spec = {
          host: place.host,
          pool: place.pool,
          ...(folder === undefined ? {} : { folder: place.folder }),
          ...(chosen === undefined ? {} : { datastore: chosen }),
          ...(disks === undefined ? {} : { transform: disks === 'thin' ? 'sparse' : 'flat' }),
        };
        await runTask(session, context, name, () =>
          session.client.call(ref, 'RelocateVM_Task', { spec: spec as never }),
        );
        const [found] = await session.client.retrieve(ref, ['config.files.vmPathName', 'runtime.host']);
        const at = found?.values['runtime.host'] as { readonly value?: string } | undefined;
        const on = place.inventory.all('HostSystem').find((each) => each.ref.value === at?.value);
        return { name, host: on?.path ?? '', path: String(found?.values['config.files.vmPathName'] ?? '') };
      });
      answer(context, command, moved, `${moved.name}: is on ${moved.host}, at ${moved.path}`);
    });
}
