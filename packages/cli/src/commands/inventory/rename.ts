import type { Command } from 'commander';
import { type CommandContext, type CommandDefinition, onServer } from '../../command-context.ts';
import { findAnything } from '../../inventory/find-object.ts';
import { encodeName, type InventoryKind } from '../../inventory/inventory.ts';
import { loadInventory } from '../../inventory/load-inventory.ts';
import { runTask } from '../../inventory/run-task.ts';
import { answer } from '../../output/answer.ts';

/** `hypo rename`: another name for an object. */
export const defineRename: CommandDefinition = (program, context) => {
  program
    .command('rename')
    .description('rename a machine, folder, pool, cluster, datacenter, datastore or network')
    .argument('<object>', 'name, path or id; a machine comes first')
    .argument('<name>', 'its new name')
    .addHelpText('after', '\nExamples:\n  hypo rename web1 web-old\n  hypo rename /Datacenter Berlin')
    .action((old: string, name: string, _options: unknown, command: Command) =>
      renameObject(command, context, old, name),
    );
};

export async function renameObject(
  command: Command,
  context: CommandContext,
  old: string,
  name: string,
  kinds?: readonly InventoryKind[],
): Promise<void> {
  const renamed = await onServer(command, context, async (session) => {
    const { ref, name: before } = findAnything(await loadInventory(session), old, kinds);
    await runTask(session, context, before, () =>
      session.client.call(ref, 'Rename_Task', { newName: encodeName(name) }),
    );
    return { id: ref.value, before, name };
  });
  answer(context, command, renamed, `${renamed.before}: renamed to ${name}`);
}
