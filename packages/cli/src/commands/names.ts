import type { Command } from 'commander';
import { type CommandDefinition, onServer } from '../command-context.ts';
import type { NamedArgument } from '../completion/command-tree.ts';
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

/** `hypo __names`: what shells ask while somebody types. */
export const defineNames: CommandDefinition = (program, context) => {
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
