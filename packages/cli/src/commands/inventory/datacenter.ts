import type { Command } from 'commander';
import { type CommandDefinition, onServer, optionsOf } from '../../command-context.ts';
import { CliError } from '../../errors.ts';
import { findAnything } from '../../inventory/find-object.ts';
import type { InventoryObject } from '../../inventory/inventory.ts';
import { loadInventory } from '../../inventory/load-inventory.ts';
import { parseNewPlace } from '../../inventory/new-place.ts';
import { onEach } from '../../inventory/on-each.ts';
import { runTask, withName } from '../../inventory/run-task.ts';
import { answer, answerRows } from '../../output/answer.ts';

/** `hypo datacenter`: places of their own for hosts, machines, datastores and networks. */
export const defineDatacenter: CommandDefinition = (program, context) => {
  const datacenter = program
    .command('datacenter')
    .description('create, list and remove datacenters')
    .addHelpText('after', '\nExamples:\n  hypo datacenter create Berlin\n  hypo datacenter ls');
  datacenter
    .command('create')
    .description('create a datacenter')
    .argument('<path>', 'a name, or a path below a folder of datacenters')
    .addHelpText('after', '\nExamples:\n  hypo datacenter create Berlin\n  hypo datacenter create /Europe/Berlin')
    .action(async (path: string, _options: unknown, command: Command) => {
      const { parent, name, encoded } = parseNewPlace(path);
      const created = await onServer(command, context, async (session) => {
        const inventory = await loadInventory(session);
        const into = parent === undefined ? inventory.root : findAnything(inventory, parent, ['Folder']);
        const folder = into as InventoryObject<'Folder'>;
        const ref = await session.client
          .call(folder.ref, 'CreateDatacenter', { name: encoded })
          .catch((error: unknown) => {
            throw withName(name, error);
          });
        return { id: ref.value, name, inventoryPath: `${into.path === '/' ? '' : into.path}/${encoded}` };
      });
      answer(context, command, created, `${created.inventoryPath}: created`);
    });
  datacenter
    .command('ls')
    .description('list datacenters')
    .addHelpText('after', '\nExample:\n  hypo datacenter ls --json')
    .action(async (_options: unknown, command: Command) => {
      const rows = await onServer(command, context, async (session) => {
        const inventory = await loadInventory(session);
        return inventory.all('Datacenter').map((one) => {
          const count = (kind: 'HostSystem' | 'VirtualMachine' | 'Datastore') =>
            inventory.all(kind).filter((object) => inventory.isBelow(object, one)).length;
          return {
            id: one.ref.value,
            name: one.name,
            inventoryPath: one.path,
            hosts: count('HostSystem'),
            machines: count('VirtualMachine'),
            datastores: count('Datastore'),
          };
        });
      });
      answerRows(context, command, rows, ['NAME', 'HOSTS', 'MACHINES', 'DATASTORES', 'PATH'], (row) => [
        row.name,
        String(row.hosts),
        String(row.machines),
        String(row.datastores),
        row.inventoryPath,
      ]);
    });
  datacenter
    .command('rm')
    .description('remove datacenters')
    .argument('<datacenters...>', 'names, paths or ids')
    .option('--force', 'with their hosts, which are let go: machines run on')
    .addHelpText('after', '\nExample:\n  hypo datacenter rm Berlin')
    .action(async (names: string[], _options: unknown, command: Command) => {
      const { force } = optionsOf<{ force?: boolean }>(command);
      await onEach(command, context, {
        find: (inventory) => names.map((name) => inventory.find('Datacenter', name)),
        done: 'removed',
        act: async (session, one, inventory) => {
          const hosts = inventory.all('HostSystem').filter((host) => inventory.isBelow(host, one));
          if (hosts.length > 0 && !force) {
            throw new CliError('failed', `${one.path} has hosts: ${hosts.map(({ name }) => name).join(', ')}.`, {
              next: "Let them go with 'hypo host rm' first, or use --force.",
            });
          }
          await runTask(session, context, one.name, () => session.client.call(one.ref, 'Destroy_Task', {}));
        },
      });
    });
};
