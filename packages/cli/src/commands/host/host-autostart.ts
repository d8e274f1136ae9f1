import type {
  AutoStartDefaults,
  AutoStartPowerInfo,
  HostAutoStartManagerConfig,
  ManagedObjectReference,
} from '@hypostyle/vim';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { type CommandContext, onServer, optionsOf } from '../../command-context.ts';
import type { ServerSession } from '../../connection/server-session.ts';
import { CliError } from '../../errors.ts';
import { findObjects } from '../../inventory/find-object.ts';
import type { Inventory } from '../../inventory/inventory.ts';
import { loadInventory } from '../../inventory/load-inventory.ts';
import { watchObject } from '../../inventory/watch.ts';
import { answer, answerRows } from '../../output/answer.ts';
import { note } from '../../output/terminal.ts';
import { seconds } from '../vm/power.ts';

type Host = ManagedObjectReference<'HostSystem'>;
type Machine = ManagedObjectReference<'VirtualMachine'>;

const stopActions = ['powerOff', 'guestShutdown', 'suspend', 'none'] as const;

interface EntryOptions {
  readonly order: number;
  readonly delay: number;
  readonly stopDelay: number;
  readonly stopAction: string;
  readonly waitForGuest?: boolean;
}

interface DefaultOptions {
  readonly host?: string;
  readonly enabled?: boolean;
  readonly delay?: number;
  readonly stopDelay?: number;
  readonly stopAction?: string;
  readonly waitForGuest?: boolean;
}

const whole = (text: string): number => {
  if (!/^(-1|\d{1,6})$/.test(text)) throw new InvalidArgumentError('Say a whole number, or -1.');
  return Number(text);
};
const yesNo = (text: string): boolean => {
  if (/^(yes|true|on)$/i.test(text)) return true;
  if (/^(no|false|off)$/i.test(text)) return false;
  throw new InvalidArgumentError('Say yes or no.');
};

/** `hypo host autostart`: machines that start with their host, and are stopped with it. */
export function defineHostAutostart(host: Command, context: CommandContext): void {
  const autostart = host
    .command('autostart')
    .description('machines that start and stop with their host, and in which order')
    .addHelpText(
      'after',
      `
Examples:
  hypo host autostart configure --enabled yes
  hypo host autostart add db --order 1 --wait-for-guest yes
  hypo host autostart add web --order 2 --stop-action guestShutdown
  hypo host autostart ls
  hypo host autostart stop`,
    );
  defineList(autostart, context);
  defineEntries(autostart, context);
  defineDefaults(autostart, context);
  defineTurns(autostart, context);
}

function ofHost(command: Command): Command {
  return command.option('--host <name>', 'name, path or id; the only one unless told');
}

function defineList(autostart: Command, context: CommandContext): void {
  ofHost(autostart.command('ls').description('list machines that start or stop with a host'))
    .addHelpText('after', '\nExample:\n  hypo host autostart ls --host esx2')
    .action(async (_options: unknown, command: Command) => {
      const { host: name, json } = optionsOf<{ host?: string }>(command);
      const { defaults, rows } = await onServer(command, context, async (session) => {
        const inventory = await loadInventory(session);
        const { config } = await managerOf(session, chosenHost(inventory, name));
        return { defaults: config.defaults, rows: config.powerInfo?.map((info) => rowOf(inventory, info)) ?? [] };
      });
      if (!json && defaults?.enabled !== true)
        note(context.terminal, "It is switched off: 'hypo host autostart configure --enabled yes'.");
      if (json) answer(context, command, { defaults, machines: rows }, '');
      else
        answerRows(context, command, rows, ['MACHINE', 'ORDER', 'START', 'DELAY', 'STOP', 'DELAY'], (row) => [
          row.machine,
          row.order < 0 ? 'any' : String(row.order),
          row.startAction,
          row.startDelay < 0 ? `default (${defaults?.startDelay} s)` : `${row.startDelay} s`,
          row.stopAction === 'systemDefault' ? `default (${defaults?.stopAction})` : row.stopAction,
          row.stopDelay < 0 ? `default (${defaults?.stopDelay} s)` : `${row.stopDelay} s`,
        ]);
    });
}

function rowOf(inventory: Inventory, info: AutoStartPowerInfo) {
  const { key, startOrder: order, startAction, startDelay, waitForHeartbeat, stopAction, stopDelay } = info;
  const machine = inventory.byId(key.value)?.name ?? key.value;
  return { machine, id: key.value, order, startAction, startDelay, waitForHeartbeat, stopAction, stopDelay };
}

function defineEntries(autostart: Command, context: CommandContext): void {
  autostart
    .command('add')
    .description('have machines start and stop with their host')
    .argument('<machines...>', 'names, paths or ids')
    .option('--order <number>', 'of starts, from 1; stops go the other way round; -1 is after all those', whole, -1)
    .option('--delay <seconds>', "before the next one's start; -1 is the host's", whole, -1)
    .option('--stop-delay <seconds>', "before the next one's stop; -1 is the host's", whole, -1)
    .addOption(
      new Option('--stop-action <action>', "what a stop does; the host's unless told")
        .choices([...stopActions, 'systemDefault'])
        .default('systemDefault'),
    )
    .option('--wait-for-guest <yes|no>', 'the next one starts as soon as the agent of the guest answers', yesNo)
    .addHelpText('after', '\nExample:\n  hypo host autostart add db --order 1 --stop-action guestShutdown')
    .action(async (names: string[], _options: unknown, command: Command) => {
      const { order, delay, stopDelay, stopAction, waitForGuest } = optionsOf<EntryOptions>(command);
      await change(command, context, names, (key) => ({
        _typeName: 'AutoStartPowerInfo',
        key,
        startOrder: order,
        startDelay: delay,
        waitForHeartbeat: waitForGuest === undefined ? 'systemDefault' : waitForGuest ? 'yes' : 'no',
        startAction: 'powerOn',
        stopDelay,
        stopAction,
      }));
      answer(context, command, names, names.map((name) => `${name}: starts with its host`).join('\n'));
    });
  autostart
    .command('rm')
    .description('leave machines alone when their host starts and stops')
    .argument('<machines...>', 'names, paths or ids')
    .addHelpText('after', '\nExample:\n  hypo host autostart rm web')
    .action(async (names: string[], _options: unknown, command: Command) => {
      await change(command, context, names, (key) => ({
        _typeName: 'AutoStartPowerInfo',
        key,
        ...{ startOrder: -1, startDelay: -1, waitForHeartbeat: 'systemDefault' },
        ...{ startAction: 'none', stopDelay: -1, stopAction: 'none' },
      }));
      answer(context, command, names, names.map((name) => `${name}: is left alone`).join('\n'));
    });
}

/** Says of machines what becomes of them, each to its own host. */
async function change(
  command: Command,
  context: CommandContext,
  names: readonly string[],
  entryOf: (key: Machine) => AutoStartPowerInfo,
): Promise<void> {
  await onServer(command, context, async (session) => {
    const { client } = session;
    let isOff = false;
    for (const { ref, name } of await findObjects(session, 'VirtualMachine', names)) {
      const [found] = await client.retrieve(ref, ['runtime.host']);
      const host = found?.values['runtime.host'] as Host | undefined;
      if (host === undefined) throw new CliError('failed', `${name} is on no host that can be seen.`);
      const { manager, config } = await managerOf(session, host);
      const entry = entryOf(ref);
      const spec = { _typeName: 'HostAutoStartManagerConfig', powerInfo: [entry] } as const;
      await client.call(manager, 'ReconfigureAutostart', { spec });
      isOff ||= config.defaults?.enabled !== true && entry.startAction !== 'none';
    }
    if (isOff) note(context.terminal, "Nothing starts yet: 'hypo host autostart configure --enabled yes'.");
  });
}

function defineDefaults(autostart: Command, context: CommandContext): void {
  ofHost(autostart.command('configure').description('switch it on or off, and say what machines do that say nothing'))
    .option('--enabled <yes|no>', 'whether machines start and stop with the host', yesNo)
    .option('--delay <seconds>', "before the next one's start", whole)
    .option('--stop-delay <seconds>', "before the next one's stop", whole)
    .addOption(new Option('--stop-action <action>', 'what a stop does').choices(stopActions))
    .option('--wait-for-guest <yes|no>', 'the next one starts as soon as the agent of the guest answers', yesNo)
    .addHelpText('after', '\nExample:\n  hypo host autostart configure --enabled yes --delay 30')
    .action(async (_options: unknown, command: Command) => {
      const { host, enabled, delay, stopDelay, stopAction, waitForGuest } = optionsOf<DefaultOptions>(command);
      const said = { enabled, startDelay: delay, stopDelay, stopAction, waitForHeartbeat: waitForGuest };
      const defaults = Object.fromEntries(Object.entries(said).filter(([, value]) => value !== undefined));
      if (Object.keys(defaults).length === 0) throw new CliError('usage', 'Say what is to be changed: see --help.');
      await onServer(command, context, async (session) => {
        const { manager } = await managerOf(session, chosenHost(await loadInventory(session), host));
        const spec = {
          _typeName: 'HostAutoStartManagerConfig',
          defaults: { _typeName: 'AutoStartDefaults', ...defaults } as AutoStartDefaults,
        } as const;
        await session.client.call(manager, 'ReconfigureAutostart', { spec });
      });
      answer(context, command, defaults, 'changed');
    });
}

function defineTurns(autostart: Command, context: CommandContext): void {
  ofHost(autostart.command('start').description('start now what starts with a host, in its order'))
    .addHelpText('after', '\nExample:\n  hypo host autostart start')
    .action(async (_options: unknown, command: Command) => {
      const { host } = optionsOf<{ host?: string }>(command);
      await onServer(command, context, async (session) => {
        const { manager } = await managerOf(session, chosenHost(await loadInventory(session), host));
        await session.client.call(manager, 'AutoStartPowerOn', {});
      });
      answer(context, command, { started: true }, 'machines start, one after another');
    });
  ofHost(autostart.command('stop').description('stop what is stopped with a host, and wait until all are off'))
    .option('--timeout <seconds>', 'how long to wait', seconds, 600)
    .addHelpText(
      'after',
      '\nExample:\n  hypo host autostart stop --timeout 300\n\nA unit that runs this before the computer goes down is in docs/hosts.md.',
    )
    .action(async (_options: unknown, command: Command) => {
      const { host: name, timeout } = optionsOf<{ host?: string; timeout: number }>(command);
      const stopped = await onServer(command, context, async (session) => {
        const inventory = await loadInventory(session);
        const { manager, config } = await managerOf(session, chosenHost(inventory, name));
        const machines = stoppedBy(config).map((ref) => ({ ref, name: inventory.byId(ref.value)?.name ?? ref.value }));
        await session.client.call(manager, 'AutoStartPowerOff', {});
        const patience = AbortSignal.timeout(timeout * 1000);
        for (const machine of machines) await untilStopped(session, machine, patience, context.signal);
        return machines.map((machine) => machine.name);
      });
      const text = stopped.length === 0 ? 'nothing is stopped with this host' : `${stopped.join(', ')}: off`;
      answer(context, command, { stopped }, text);
    });
}

/** Machines that a stop of their host stops. */
function stoppedBy({ defaults, powerInfo = [] }: HostAutoStartManagerConfig): Machine[] {
  if (defaults?.enabled !== true) return [];
  return powerInfo.flatMap(({ key, stopAction }) =>
    (stopAction === 'systemDefault' ? defaults.stopAction : stopAction) === 'none' ? [] : [key as Machine],
  );
}

async function untilStopped(
  session: ServerSession,
  { ref, name }: { readonly ref: Machine; readonly name: string },
  patience: AbortSignal,
  signal: AbortSignal,
): Promise<void> {
  try {
    for await (const values of watchObject(session, ref, ['runtime.powerState'], AbortSignal.any([signal, patience]))) {
      if (values['runtime.powerState'] !== 'poweredOn') return;
    }
  } catch (error) {
    if (!patience.aborted) throw error;
  }
  signal.throwIfAborted();
  throw new CliError('failed', `${name} still runs.`, { next: `'hypo power off ${name}' ends it at once.` });
}

function chosenHost(inventory: Inventory, name: string | undefined): Host {
  if (name !== undefined) return inventory.find('HostSystem', name).ref;
  const [only, ...others] = inventory.all('HostSystem');
  if (only === undefined) throw new CliError('failed', 'The server has no host.');
  if (others.length > 0)
    throw new CliError('usage', `The server has ${others.length + 1} hosts.`, {
      next: "Say which with --host; 'hypo host ls' lists them.",
    });
  return only.ref;
}

async function managerOf({ client }: ServerSession, host: Host) {
  const [found] = await client.retrieve(host, ['configManager.autoStartManager']);
  const manager = found?.values['configManager.autoStartManager'] as
    | ManagedObjectReference<'HostAutoStartManager'>
    | undefined;
  if (manager === undefined) throw new CliError('failed', 'The host starts no machines by itself.');
  const [settings] = await client.retrieve(manager, ['config']);
  return { manager, config: (settings?.values.config ?? {}) as HostAutoStartManagerConfig };
}
