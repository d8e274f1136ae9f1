import type { Command } from 'commander';
import { type CommandContext, type CommandDefinition, onServer, optionsOf } from '../../command-context.ts';
import type { ServerSession } from '../../connection/server-session.ts';
import { CliError } from '../../errors.ts';
import { datacenterFolder } from '../../inventory/datacenter-folder.ts';
import { findAnything, findDatacenter } from '../../inventory/find-object.ts';
import type { Inventory, InventoryObject } from '../../inventory/inventory.ts';
import { loadInventory } from '../../inventory/load-inventory.ts';
import { type NewPlace, parseNewPlace } from '../../inventory/new-place.ts';
import { onEach } from '../../inventory/on-each.ts';
import { runTask, withName } from '../../inventory/run-task.ts';
import { answer, answerRows } from '../../output/answer.ts';
import { moveObjects } from './mv.ts';
import { renameObject } from './rename.ts';

/** `hypo folder`: the order that people give to machines, hosts, datastores and networks. */
export const defineFolder: CommandDefinition = (program, context) => {
  const folder = program
    .command('folder')
    .description('create, list, move, rename and remove folders')
    .addHelpText(
      'after',
      `
Examples:
  hypo folder create /Datacenter/vm/web
  hypo folder ls
  hypo folder mv /Datacenter/vm/web /Datacenter/vm/production`,
    );
  defineCreate(folder, context);
  folder
    .command('ls')
    .description('list all folders, or what lies in one')
    .argument('[folder]', 'name, path or id of a folder or datacenter; / is the root')
    .addHelpText('after', '\nExamples:\n  hypo folder ls\n  hypo folder ls /Datacenter/vm')
    .action(async (name: string | undefined, _options: unknown, command: Command) => {
      if (name === undefined) {
        const folders = await onServer(command, context, allFolders);
        answerRows(context, command, folders, ['PATH', 'FOR', 'CONTENTS'], (row) => [
          row.inventoryPath,
          row.for.join(', '),
          String(row.contents),
        ]);
        return;
      }
      const rows = await onServer(command, context, async (session) => contents(await loadInventory(session), name));
      answerRows(context, command, rows, ['NAME', 'TYPE', 'PATH'], (row) => [row.name, row.type, row.inventoryPath]);
    });
  folder
    .command('mv')
    .description('move folders into another one of their kind')
    .argument('<folders...>', 'names, paths or ids; the last is where they go')
    .addHelpText('after', '\nExample:\n  hypo folder mv /Datacenter/vm/web /Datacenter/vm/db /Datacenter/vm/production')
    .action((names: string[], _options: unknown, command: Command) => moveObjects(command, context, names, ['Folder']));
  folder
    .command('rename')
    .description('rename a folder')
    .argument('<folder>', 'name, path or id')
    .argument('<name>', 'its new name')
    .addHelpText('after', '\nExample:\n  hypo folder rename /Datacenter/vm/web frontend')
    .action((old: string, name: string, _options: unknown, command: Command) =>
      renameObject(command, context, old, name, ['Folder']),
    );
  defineRemove(folder, context);
};

function defineCreate(folder: Command, context: CommandContext): void {
  folder
    .command('create')
    .description('create folders')
    .argument('<folders...>', 'paths; a name alone makes a folder of machines in the only datacenter')
    .option('--parents', 'make what is missing on the way')
    .addHelpText(
      'after',
      `
A folder is for what the folder around it is for: those in /Datacenter/vm for machines, in /Datacenter/host for hosts.

Examples:
  hypo folder create web
  hypo folder create --parents /Datacenter/vm/production/web
  hypo folder create /Datacenter/host/rack1 /Europe`,
    )
    .action(async (paths: string[], _options: unknown, command: Command) => {
      const places = paths.map(parseNewPlace);
      const { parents = false } = optionsOf<{ parents?: boolean }>(command);
      const created = await onServer(command, context, async (session) => {
        const all = [];
        for (const place of places) all.push(await createFolder(session, place, parents));
        return all;
      });
      answer(context, command, created, created.map(({ inventoryPath }) => `${inventoryPath}: created`).join('\n'));
    });
}

async function createFolder(session: ServerSession, { parent, name, encoded }: NewPlace, parents: boolean) {
  const inventory = await loadInventory(session);
  const into = await parentFolder();
  const ref = await session.client.call(into.ref, 'CreateFolder', { name: encoded }).catch((error: unknown) => {
    throw withName(name, error);
  });
  return { id: ref.value, name, inventoryPath: `${into.path === '/' ? '' : into.path}/${encoded}` };

  async function parentFolder(): Promise<{ readonly ref: InventoryObject<'Folder'>['ref']; readonly path: string }> {
    if (parent === undefined) {
      return datacenterFolder(session, inventory, findDatacenter(inventory, undefined), 'vmFolder');
    }
    try {
      return await folderNamed(session, inventory, parent);
    } catch (error) {
      if (!parents || parent === '/' || !(error instanceof CliError) || error.kind !== 'not-found') throw error;
      const made = await createFolder(session, parseNewPlace(parent), true);
      return { ref: { type: 'Folder', value: made.id }, path: made.inventoryPath };
    }
  }
}

/** A folder; a datacenter stands for its folder of machines. */
async function folderNamed(
  session: ServerSession,
  inventory: Inventory,
  name: string,
): Promise<InventoryObject<'Folder'>> {
  const found = findAnything(inventory, name, ['Folder', 'Datacenter']);
  return found.ref.type === 'Datacenter'
    ? datacenterFolder(session, inventory, found as InventoryObject<'Datacenter'>, 'vmFolder')
    : (found as InventoryObject<'Folder'>);
}

async function allFolders(session: ServerSession) {
  const inventory = await loadInventory(session);
  const folders = inventory.all('Folder');
  const found = await session.client.retrieve(
    folders.map(({ ref }) => ref),
    ['childType'],
  );
  const types = new Map(found.map(({ ref, values }) => [ref.value, values.childType ?? []]));
  return folders.map((one) => ({
    id: one.ref.value,
    name: one.name,
    inventoryPath: one.path,
    for: (types.get(one.ref.value) ?? []).flatMap((type) => purposes[type] ?? []),
    contents: inventory.childrenOf(one).length,
  }));
}

/** What a folder may hold, in the words of the commands. */
const purposes: Readonly<Record<string, string>> = {
  VirtualMachine: 'machines',
  ComputeResource: 'hosts',
  Datastore: 'datastores',
  Network: 'networks',
  Datacenter: 'datacenters',
};

function contents(inventory: Inventory, name: string) {
  const place = findAnything(inventory, name, ['Folder', 'Datacenter']);
  return inventory.childrenOf(place).map(({ ref, name: childName, path }) => ({
    id: ref.value,
    name: childName,
    type: ref.type as string,
    inventoryPath: path,
  }));
}

function defineRemove(folder: Command, context: CommandContext): void {
  folder
    .command('rm')
    .description('remove folders')
    .argument('<folders...>', 'names, paths or ids')
    .option('--force', 'with all that lies in them: machines are destroyed, hosts let go')
    .option('--keep-files', 'with all that lies in them, but only forget machines: their files stay')
    .addHelpText(
      'after',
      `
Examples:
  hypo folder rm /Datacenter/vm/web
  hypo folder rm --keep-files /Datacenter/vm/old`,
    )
    .action(async (names: string[], _options: unknown, command: Command) => {
      const { force, keepFiles } = optionsOf<{ force?: boolean; keepFiles?: boolean }>(command);
      await onEach(command, context, {
        find: (inventory) => names.map((name) => inventory.find('Folder', name)),
        done: 'removed',
        act: async (session, { ref, name, path }, inventory) => {
          const held = inventory.childrenOf({ ref }).length;
          if (held > 0 && !force && !keepFiles) {
            throw new CliError('failed', `${path} is not empty: it holds ${held}.`, {
              next: `Move them away with 'hypo mv', or use --force to destroy them, --keep-files to forget machines.`,
            });
          }
          await runTask(session, context, name, () =>
            session.client.call(ref, keepFiles ? 'UnregisterAndDestroy_Task' : 'Destroy_Task', {}),
          );
        },
      });
    });
}
