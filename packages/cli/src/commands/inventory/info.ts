import type { Command } from 'commander';
import { type CommandDefinition, onServer } from '../../command-context.ts';
import { isCenter } from '../../connection/server-session.ts';
import { describeMachine, machineInfo } from '../../info/machine-info.ts';
import { objectInfo } from '../../info/object-info.ts';
import { findAnything } from '../../inventory/find-object.ts';
import type { InventoryObject } from '../../inventory/inventory.ts';
import { loadInventory } from '../../inventory/load-inventory.ts';
import { answer, answerOne } from '../../output/answer.ts';

/** `hypo info`: all that matters of one machine, or of anything else in the inventory. */
export const defineInfo: CommandDefinition = (program, context) => {
  program
    .command('info')
    .description('show one machine, host, datastore, folder, pool, cluster or datacenter')
    .argument('<object>', 'name, path or id; a machine comes first')
    .addHelpText('after', '\nExamples:\n  hypo info web\n  hypo info /Datacenter/vm/web --json\n  hypo info datastore1')
    .action(async (name: string, _options: unknown, command: Command) => {
      await onServer(command, context, async (session) => {
        const inventory = await loadInventory(session);
        const object = findAnything(inventory, name);
        if (object.ref.type !== 'VirtualMachine') {
          const { value, shown } = await objectInfo(session, inventory, object);
          answerOne(context, command, value, shown);
          return;
        }
        const machine = object as InventoryObject<'VirtualMachine'>;
        const host = isCenter(session.content) ? await hostOf() : undefined;
        const info = await machineInfo(session, machine, host);
        answer(context, command, info, describeMachine(info));

        async function hostOf(): Promise<string | undefined> {
          const [found] = await session.client.retrieve(machine.ref, ['runtime.host']);
          const id = (found?.values['runtime.host'] as { readonly value?: string } | undefined)?.value;
          return id === undefined ? undefined : inventory.byId(id)?.name;
        }
      });
    });
};
