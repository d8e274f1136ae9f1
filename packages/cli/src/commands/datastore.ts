import { resolve } from 'node:path';
import type { Command } from 'commander';
import { type CommandDefinition, onServer, optionsOf } from '../command-context.ts';
import { CliError } from '../errors.ts';
import { withName } from '../inventory/run-task.ts';
import { listObjects } from '../inventory/walk.ts';
import { formatBytes } from '../output/format.ts';
import { formatTable } from '../output/table.ts';
import { print, printJson } from '../output/terminal.ts';

/** `hypo datastore`: where machines' folders lie. */
export const defineDatastore: CommandDefinition = (program, context) => {
  const datastore = program
    .command('datastore')
    .description('list and add datastores')
    .addHelpText('after', '\nExamples:\n  hypo datastore ls\n  hypo datastore add fast /mnt/nvme/machines');
  datastore
    .command('ls')
    .description('list datastores')
    .addHelpText('after', '\nExample:\n  hypo datastore ls --json')
    .action(async (_options: unknown, command: Command) => {
      const rows = await onServer(command, context, async (session) => {
        const all = await listObjects(session, 'Datastore');
        const found = await session.client.retrieve(
          all.map(({ ref }) => ref),
          ['summary'],
        );
        return found.flatMap(({ values: { summary } }) =>
          summary === undefined
            ? []
            : [
                {
                  name: summary.name,
                  type: summary.type,
                  capacity: Number(summary.capacity),
                  free: Number(summary.freeSpace),
                  accessible: summary.accessible,
                  url: summary.url,
                },
              ],
        );
      });
      if (optionsOf(command).json) printJson(context.terminal, rows);
      else {
        const cells = rows.map(({ name, type, capacity, free, accessible, url }) => [
          name,
          accessible ? type : `${type}, not accessible`,
          formatBytes(capacity),
          formatBytes(free),
          url,
        ]);
        print(context.terminal, formatTable(['NAME', 'TYPE', 'CAPACITY', 'FREE', 'URL'], cells));
      }
    });
  datastore
    .command('add')
    .description("make a folder of the host's file system a datastore")
    .argument('<name>')
    .argument('<folder>', 'absolute path on the host')
    .addHelpText('after', '\nExample:\n  hypo datastore add fast /mnt/nvme/machines')
    .action(async (name: string, folder: string, _options: unknown, command: Command) => {
      await onServer(command, context, async (session) => {
        const [host] = await listObjects(session, 'HostSystem');
        const [found] = host === undefined ? [] : await session.client.retrieve(host.ref, ['configManager']);
        const system = found?.values.configManager?.datastoreSystem;
        if (system === undefined) throw new CliError('failed', 'The server has no host with datastores of its own.');
        await session.client
          .call(system, 'CreateLocalDatastore', { name, path: resolve(folder) })
          .catch((error: unknown) => {
            throw withName(name, error);
          });
      });
      if (optionsOf(command).json) printJson(context.terminal, { name });
      else print(context.terminal, `${name}: added`);
    });
};
