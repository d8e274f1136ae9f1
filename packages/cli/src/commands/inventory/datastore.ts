import { resolve } from 'node:path';
import type { DatastoreSummary } from '@hypostyle/vim';
import type { Command } from 'commander';
import { type CommandDefinition, onServer, optionsOf } from '../../command-context.ts';
import { CliError } from '../../errors.ts';
import { loadInventory } from '../../inventory/load-inventory.ts';
import { withName } from '../../inventory/run-task.ts';
import { formatBytes } from '../../output/format.ts';
import { formatTable } from '../../output/table.ts';
import { print, printJson } from '../../output/terminal.ts';
import { defineDatastoreDisk } from '../storage/datastore-disk.ts';
import { defineDatastoreFiles, listFiles } from '../storage/datastore-files.ts';
import { defineDatastoreTransfer } from '../storage/datastore-transfer.ts';

/** `hypo datastore`: where machines' folders lie. */
export const defineDatastore: CommandDefinition = (program, context) => {
  const datastore = program
    .command('datastore')
    .description('datastores, and the files and virtual disks on them')
    .addHelpText(
      'after',
      "\nExamples:\n  hypo datastore ls\n  hypo datastore ls -l '[datastore1] web'\n  hypo datastore upload debian.iso '[datastore1] iso/debian.iso'\n  hypo datastore add fast /mnt/nvme/machines",
    );
  defineDatastoreFiles(datastore, context);
  defineDatastoreTransfer(datastore, context);
  defineDatastoreDisk(datastore, context);
  datastore
    .command('ls')
    .description('list datastores, or what a folder of one has')
    .argument('[path]', "folder, such as '[datastore1] web'")
    .option('-l, --long', 'tell sizes and times')
    .option('-R, --recursive', 'and every folder below')
    .addHelpText('after', "\nExamples:\n  hypo datastore ls --json\n  hypo datastore ls -l '[datastore1] web'")
    .action(async (path: string | undefined, _options: unknown, command: Command) => {
      if (path !== undefined) {
        await onServer(command, context, (session) => listFiles(session, context, path, optionsOf(command)));
        return;
      }
      const rows = await onServer(command, context, async (session) => {
        const all = (await loadInventory(session)).all('Datastore').map(({ ref }) => ref);
        const found = all.length === 0 ? [] : await session.client.retrieve(all, ['summary']);
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
    .command('info')
    .description('tell the room on datastores: what is stored, free, and what thin disks may still take')
    .argument('[name]', 'one of them')
    .addHelpText('after', '\nExample:\n  hypo datastore info datastore1 --json')
    .action(async (name: string | undefined, _options: unknown, command: Command) => {
      const infos = await onServer(command, context, async (session) => {
        const inventory = await loadInventory(session);
        const refs = name === undefined ? inventory.all('Datastore') : [inventory.find('Datastore', name)];
        const found = await session.client.retrieve(
          refs.map(({ ref }) => ref),
          ['summary', 'vm'],
        );
        return found.flatMap(({ values: { summary, vm } }) => (summary === undefined ? [] : [roomOf(summary, vm)]));
      });
      if (optionsOf(command).json) printJson(context.terminal, infos);
      else
        print(
          context.terminal,
          formatTable(
            ['NAME', 'CAPACITY', 'USED', 'FREE', 'PROVISIONED', 'OVERCOMMIT', 'MACHINES'],
            infos.map((info) => [
              info.name,
              formatBytes(info.capacity),
              formatBytes(info.used),
              formatBytes(info.free),
              formatBytes(info.provisioned),
              `${info.overcommitPercent} %`,
              String(info.machines),
            ]),
          ),
        );
    });
  datastore
    .command('add')
    .description("make a folder of the host's file system a datastore")
    .argument('<name>')
    .argument('<path>', 'absolute path on the host')
    .option('--host <name>', 'host at a center; the only one unless told')
    .addHelpText(
      'after',
      '\nExamples:\n  hypo datastore add fast /mnt/nvme/machines\n  hypo datastore add fast /mnt/nvme --host esx2',
    )
    .action(async (name: string, folder: string, _options: unknown, command: Command) => {
      await onServer(command, context, async (session) => {
        const inventory = await loadInventory(session);
        const { host: hostName } = optionsOf<{ host?: string }>(command);
        const hosts = hostName === undefined ? inventory.all('HostSystem') : [inventory.find('HostSystem', hostName)];
        const [host] = hosts;
        if (hosts.length > 1) {
          throw new CliError('usage', `The server has ${hosts.length} hosts.`, {
            next: `Say whose folder it is with --host: ${hosts.map(({ name: one }) => one).join(', ')}.`,
          });
        }
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

function roomOf(summary: DatastoreSummary, machines: readonly unknown[] = []) {
  const [capacity, free, uncommitted] = [summary.capacity, summary.freeSpace, summary.uncommitted ?? 0].map(Number) as [
    number,
    number,
    number,
  ];
  const used = capacity - free;
  const provisioned = used + uncommitted;
  return {
    name: summary.name,
    accessible: summary.accessible,
    capacity,
    used,
    free,
    provisioned,
    overcommitPercent: capacity === 0 ? 0 : Math.round((100 * provisioned) / capacity),
    machines: machines.length,
  };
}
