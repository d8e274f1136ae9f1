import { data } from '@hypostyle/vim';
import type { Command } from 'commander';
import { type CommandContext, optionsOf } from '../../command-context.ts';
import { type HostCredentialOptions, hostCredentialOptions, tellRefusal } from '../../connection/host-credentials.ts';
import { readSecret } from '../../connection/secret.ts';
import { requireCenter, type ServerSession } from '../../connection/server-session.ts';
import type { Inventory, InventoryObject } from '../../inventory/inventory.ts';
import { onEach } from '../../inventory/on-each.ts';
import { runTask } from '../../inventory/run-task.ts';
import { seconds } from '../vm/power.ts';

type Host = InventoryObject<'HostSystem'>;

/** `hypo host disconnect|reconnect|rm|maintenance`: what hosts are to their center. */
export function defineHostPresence(host: Command, context: CommandContext): void {
  const hostsOf = (names: readonly string[]) => (inventory: Inventory) =>
    names.map((name) => inventory.find('HostSystem', name));
  host
    .command('disconnect')
    .description('leave hosts alone until they are reconnected; their machines run on')
    .argument('<hosts...>', 'names, paths or ids')
    .addHelpText('after', '\nExample:\n  hypo host disconnect esx2')
    .action(async (names: string[], _options: unknown, command: Command) => {
      await onEach(command, context, {
        find: hostsOf(names),
        done: 'disconnected',
        act: (session, { ref, name }) =>
          runTask(session, context, name, () => session.client.call(ref, 'DisconnectHost_Task', {})),
      });
    });
  defineReconnect(host, context);
  host
    .command('rm')
    .description('let hosts go: the center forgets them, their machines run on')
    .argument('<hosts...>', 'names, paths or ids')
    .addHelpText(
      'after',
      `
A host of a cluster is in maintenance mode or disconnected first.

Examples:
  hypo host rm esx2
  hypo host disconnect esx3 && hypo host rm esx3`,
    )
    .action(async (names: string[], _options: unknown, command: Command) => {
      await onEach(command, context, {
        find: (inventory, session) => {
          requireCenter(session, 'A host by itself cannot be let go.');
          return hostsOf(names)(inventory);
        },
        done: 'let go',
        act: (session, one, inventory) =>
          runTask(session, context, one.name, () =>
            session.client.call(removed(inventory, one).ref, 'Destroy_Task', {}),
          ),
      });
    });
  defineMaintenance(host, context, hostsOf);
}

/** A host of its own goes with its compute resource. */
function removed(inventory: Inventory, one: Host): InventoryObject {
  const compute = inventory.parentOf(one);
  return compute?.ref.type === 'ComputeResource' ? compute : one;
}

function defineReconnect(host: Command, context: CommandContext): void {
  const reconnect = host
    .command('reconnect')
    .description('follow a host again; by a new sign-in where it no longer trusts the center')
    .argument('<host>', 'name, path or id');
  hostCredentialOptions(reconnect)
    .addHelpText(
      'after',
      `
Examples:
  hypo host reconnect esx2
  hypo host reconnect esx2 --host-password-file esx.txt --thumbprint AB:CD:…`,
    )
    .action(async (name: string, _options: unknown, command: Command) => {
      const options = optionsOf<HostCredentialOptions>(command);
      await onEach(command, context, {
        find: (inventory) => [inventory.find('HostSystem', name)],
        done: 'connected',
        act: async (session, one) => {
          const spec = await newSignIn(context, one, options);
          await tellRefusal(options.user, one.name, () =>
            runTask(session, context, one.name, () =>
              session.client.call(one.ref, 'ReconnectHost_Task', spec === undefined ? {} : { cnxSpec: spec }),
            ),
          );
        },
      });
    });
}

/** Only where somebody says so: a host trusts its center since it joined. */
async function newSignIn(context: CommandContext, { name }: Host, options: HostCredentialOptions) {
  const { user, hostPasswordFile, thumbprint, force = false } = options;
  if (hostPasswordFile === undefined && thumbprint === undefined && !force) return undefined;
  const whose = `${user} at ${name}`;
  return data('HostConnectSpec', {
    userName: user,
    password: await readSecret(context, { whose, option: '--host-password-file', file: hostPasswordFile }),
    force,
    ...(thumbprint === undefined ? {} : { sslThumbprint: thumbprint }),
  });
}

function defineMaintenance(
  host: Command,
  context: CommandContext,
  hostsOf: (names: readonly string[]) => (inventory: Inventory) => Host[],
): void {
  const maintenance = host
    .command('maintenance')
    .description('keep machines off hosts while they are worked on')
    .addHelpText('after', '\nExamples:\n  hypo host maintenance enter esx2\n  hypo host maintenance exit esx2');
  const modes = {
    enter: {
      description: 'wait until no machine runs there, and let none start',
      done: 'in maintenance mode',
      call: (session: ServerSession, { ref }: Host, timeout: number) =>
        session.client.call(ref, 'EnterMaintenanceMode_Task', { timeout }),
    },
    exit: {
      description: 'let machines start there again',
      done: 'out of maintenance mode',
      call: (session: ServerSession, { ref }: Host, timeout: number) =>
        session.client.call(ref, 'ExitMaintenanceMode_Task', { timeout }),
    },
  } as const;
  for (const [verb, { description, done, call }] of Object.entries(modes)) {
    maintenance
      .command(verb)
      .description(description)
      .argument('<hosts...>', 'names, paths or ids')
      .option('--timeout <seconds>', 'give up after that; never unless told', seconds)
      .addHelpText('after', `\nExample:\n  hypo host maintenance ${verb} esx2 --timeout 600`)
      .action(async (names: string[], _options: unknown, command: Command) => {
        const { timeout = 0 } = optionsOf<{ timeout?: number }>(command);
        await onEach(command, context, {
          find: hostsOf(names),
          done,
          act: (session, one) => runTask(session, context, one.name, () => call(session, one, timeout)),
        });
      });
  }
}
