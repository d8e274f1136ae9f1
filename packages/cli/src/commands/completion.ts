import type { Command } from 'commander';
import { type CommandDefinition, onServer } from '../command-context.ts';
import { completionPlaces, type NamedArgument } from '../completion/command-tree.ts';
import { completionScript, type Shell, shells } from '../completion/scripts.ts';
import { CliError } from '../errors.ts';
import { type InventoryKind, type InventoryObject, inventoryKinds } from '../inventory/inventory.ts';
import { loadInventory } from '../inventory/load-inventory.ts';
import { print } from '../output/terminal.ts';

const kinds: Readonly<Record<NamedArgument, readonly InventoryKind[]>> = {
  machine: ['VirtualMachine'],
  host: ['HostSystem'],
  folder: ['Folder'],
  pool: ['ResourcePool'],
  cluster: ['ClusterComputeResource'],
  datacenter: ['Datacenter'],
  vapp: ['VirtualApp'],
  object: inventoryKinds,
};

/** `hypo completion`: scripts for shells, made from the commands themselves. */
export const defineCompletion: CommandDefinition = (program, context) => {
  program
    .command('completion')
    .description('print the script that makes a shell complete this command')
    .argument('<shell>', 'bash, zsh or fish')
    .addHelpText(
      'after',
      `
Examples:
  source <(hypo completion bash)
  source <(hypo completion zsh)
  hypo completion fish | source`,
    )
    .action((shell: string) => {
      if (!shells.some((known) => known === shell)) {
        throw new CliError('usage', `'${shell}' is no shell that is known here.`, {
          next: `Use ${shells.join(', ')}.`,
        });
      }
      context.terminal.output.write(completionScript(shell as Shell, completionPlaces(program)));
    });
  program
    .command('__names', { hidden: true })
    .description('names of objects, for completion')
    .argument('<kind>')
    .action(async (kind: string, _options: unknown, command: Command) => {
      const inventory = await onServer(command, context, loadInventory);
      const objects = (kinds[kind as NamedArgument] ?? []).flatMap((one) => [...inventory.all(one)]);
      for (const word of completionWords(objects)) print(context.terminal, word);
    });
};

/** What to type for objects: their names, and paths where names repeat or are those of folders and pools. */
function completionWords(objects: readonly InventoryObject[]): readonly string[] {
  const counts = new Map<string, number>();
  for (const { name } of objects) counts.set(name, (counts.get(name) ?? 0) + 1);
  return [
    ...new Set(
      objects.map(({ name, path, ref }) =>
        counts.get(name) === 1 && ref.type !== 'Folder' && ref.type !== 'ResourcePool' ? name : path,
      ),
    ),
  ];
}
