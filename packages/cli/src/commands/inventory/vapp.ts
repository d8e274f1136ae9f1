import type { ManagedObjectReference, VAppConfigInfo, VirtualAppSummary } from '@hypostyle/vim';
import type { Command } from 'commander';
import { type CommandContext, type CommandDefinition, onServer, optionsOf } from '../../command-context.ts';
import type { ServerSession } from '../../connection/server-session.ts';
import { CliError } from '../../errors.ts';
import type { Inventory, InventoryObject } from '../../inventory/inventory.ts';
import { loadInventory } from '../../inventory/load-inventory.ts';
import { onEach } from '../../inventory/on-each.ts';
import { runTask } from '../../inventory/run-task.ts';
import { answerOne, answerRows } from '../../output/answer.ts';

type VApp = InventoryObject<'VirtualApp'>;

/** `hypo vapp`: the machines of one package, started and stopped in their order. */
export const defineVApp: CommandDefinition = (program, context) => {
  const vApp = program
    .command('vapp')
    .description('list, start, stop and remove vApps: machines with an order')
    .addHelpText(
      'after',
      `
'hypo deploy' makes a vApp of a package of several machines, 'hypo export' a package of a vApp.

Examples:
  hypo vapp ls
  hypo vapp start shop
  hypo vapp stop shop --force`,
    );
  defineList(vApp, context);
  defineInfo(vApp, context);
  defineStart(vApp, context);
  defineStop(vApp, context);
  defineRemove(vApp, context);
};

function defineList(parent: Command, context: CommandContext): void {
  parent
    .command('ls')
    .description('list them')
    .addHelpText('after', '\nExample:\n  hypo vapp ls --json')
    .action(async (_options: unknown, command: Command) => {
      const rows = await onServer(command, context, async (session) => {
        const inventory = await loadInventory(session);
        return Promise.all(
          inventory.all('VirtualApp').map(async (vApp) => ({
            id: vApp.ref.value,
            name: vApp.name,
            path: vApp.path,
            state: await stateOf(session, vApp),
            machines: machinesOf(inventory, vApp).length,
          })),
        );
      });
      answerRows(context, command, rows, ['NAME', 'STATE', 'MACHINES', 'PATH'], (row) => [
        row.name,
        row.state,
        String(row.machines),
        row.path,
      ]);
    });
}

function defineInfo(parent: Command, context: CommandContext): void {
  parent
    .command('info')
    .description('show its state, what it is, and its machines in the order in which they start')
    .argument('<vapp>', 'name, path or id')
    .addHelpText('after', '\nExample:\n  hypo vapp info shop')
    .action(async (name: string, _options: unknown, command: Command) => {
      const info = await onServer(command, context, async (session) => {
        const inventory = await loadInventory(session);
        const vApp = inventory.find('VirtualApp', name);
        const [found] = await session.client.retrieve(vApp.ref, ['vAppConfig']);
        const config = found?.values.vAppConfig as VAppConfigInfo | undefined;
        const members = (config?.entityConfig ?? []).map(({ key, tag, startOrder, startDelay, waitingForGuest }) => ({
          id: key?.value,
          name: (key && inventory.byId(key.value)?.name) ?? tag ?? '',
          order: startOrder ?? 0,
          delay: startDelay ?? 0,
          waitingForGuest: waitingForGuest ?? false,
        }));
        return {
          id: vApp.ref.value,
          name: vApp.name,
          path: vApp.path,
          state: await stateOf(session, vApp),
          annotation: config?.annotation ?? '',
          product: config?.product?.map(({ name: product }) => product ?? '').join(', ') ?? '',
          members: members.sort((a, b) => a.order - b.order),
        };
      });
      answerOne(context, command, info, {
        Name: info.name,
        Path: info.path,
        Id: info.id,
        State: info.state,
        Annotation: info.annotation,
        Product: info.product,
        Order: info.members.map((member) => `${member.order}: ${member.name}`).join(', '),
      });
    });
}

function defineStart(parent: Command, context: CommandContext): void {
  several(parent, 'start', 'power their machines on, in order')
    .addHelpText('after', '\nExample:\n  hypo vapp start shop')
    .action((names: string[], _options: unknown, command: Command) =>
      onEach(command, context, {
        find: (inventory) => vAppsOf(inventory, names),
        done: 'started',
        act: (session, { ref, name }) =>
          runTask(session, context, name, () => session.client.call(ref, 'PowerOnVApp_Task', {})),
      }),
    );
}

function defineStop(parent: Command, context: CommandContext): void {
  several(parent, 'stop', 'stop their machines as the vApp says, in the opposite order')
    .option('--force', 'power them off at once')
    .addHelpText('after', '\nExamples:\n  hypo vapp stop shop\n  hypo vapp stop shop --force')
    .action((names: string[], _options: unknown, command: Command) =>
      onEach(command, context, {
        find: (inventory) => vAppsOf(inventory, names),
        done: 'stopped',
        act: (session, vApp) => stop(session, context, vApp, optionsOf<{ force?: boolean }>(command).force ?? false),
      }),
    );
}

function defineRemove(parent: Command, context: CommandContext): void {
  several(parent, 'rm', 'remove them with their machines and files')
    .option('--force', 'power off those that run')
    .addHelpText('after', '\nExamples:\n  hypo vapp rm shop\n  hypo vapp rm --force shop')
    .action((names: string[], _options: unknown, command: Command) =>
      onEach(command, context, {
        find: (inventory) => vAppsOf(inventory, names),
        done: 'removed',
        act: async (session, vApp) => {
          if ((await stateOf(session, vApp)) !== 'stopped') {
            if (!optionsOf<{ force?: boolean }>(command).force) {
              throw new CliError('failed', `${vApp.name} is not stopped.`, {
                next: 'Stop it first, or use --force.',
              });
            }
            await stop(session, context, vApp, true);
          }
          await runTask(session, context, vApp.name, () => session.client.call(vApp.ref, 'Destroy_Task', {}));
        },
      }),
    );
}

function several(parent: Command, verb: string, description: string): Command {
  return parent.command(verb).description(description).argument('<vapps...>', 'names, paths or ids');
}

function vAppsOf(inventory: Inventory, names: readonly string[]): VApp[] {
  return names.map((name) => inventory.find('VirtualApp', name));
}

async function stop(session: ServerSession, context: CommandContext, { ref, name }: VApp, force: boolean) {
  await runTask(session, context, name, () => session.client.call(ref, 'PowerOffVApp_Task', { force }));
}

async function stateOf({ client }: ServerSession, { ref }: VApp): Promise<string> {
  const [found] = await client.retrieve(ref as ManagedObjectReference<'VirtualApp'>, ['summary']);
  return (found?.values.summary as VirtualAppSummary | undefined)?.vAppState ?? 'unknown';
}

/** Its machines, those of its vApps too. */
function machinesOf(inventory: Inventory, vApp: VApp): readonly InventoryObject<'VirtualMachine'>[] {
  return inventory.all('VirtualMachine').filter((machine) => inventory.isBelow(machine, vApp));
}
