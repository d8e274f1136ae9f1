import type { ManagedObjectReference } from '@hypostyle/vim';
import type { Command } from 'commander';
import { type CommandContext, type CommandDefinition, optionsOf } from '../../command-context.ts';
import type { ServerSession } from '../../connection/server-session.ts';
import { CliError } from '../../errors.ts';
import type { InventoryObject } from '../../inventory/inventory.ts';
import { onEach } from '../../inventory/on-each.ts';
import { runTask } from '../../inventory/run-task.ts';
import { watchObject } from '../../inventory/watch.ts';

type Machine = ManagedObjectReference<'VirtualMachine'>;
type Client = ServerSession['client'];

interface PowerAction {
  readonly description: string;
  readonly done: string;
  readonly task?: (client: Client, machine: Machine) => Promise<ManagedObjectReference<'Task'>>;
  /** What is only asked of the guest. */
  readonly request?: (client: Client, machine: Machine) => Promise<unknown>;
}

const actions: Readonly<Record<string, PowerAction>> = {
  on: { description: 'power on', done: 'powered on', task: (client, vm) => client.call(vm, 'PowerOnVM_Task', {}) },
  off: {
    description: 'power off at once, as by pulling the plug',
    done: 'powered off',
    task: (client, vm) => client.call(vm, 'PowerOffVM_Task', {}),
  },
  suspend: {
    description: 'write the memory down and stop; power on goes on from there',
    done: 'suspended',
    task: (client, vm) => client.call(vm, 'SuspendVM_Task', {}),
  },
  reset: { description: 'reset at once', done: 'reset', task: (client, vm) => client.call(vm, 'ResetVM_Task', {}) },
  shutdown: {
    description: 'ask the guest to shut down',
    done: 'asked to shut down',
    request: (client, vm) => client.call(vm, 'ShutdownGuest', {}),
  },
  standby: {
    description: 'have the guest stand by: its memory is written down, and power on goes on from there',
    done: 'asked to stand by',
    request: (client, vm) => client.call(vm, 'StandbyGuest', {}),
  },
  reboot: {
    description: 'ask the guest to reboot',
    done: 'asked to reboot',
    request: (client, vm) => client.call(vm, 'RebootGuest', {}),
  },
};

/** `hypo power`: machines on, off, and what lies between. */
export const definePower: CommandDefinition = (program, context) => {
  const power = program
    .command('power')
    .description('power machines on, off, suspend, reset, shutdown, standby, reboot')
    .addHelpText(
      'after',
      '\nExamples:\n  hypo power on web db\n  hypo power shutdown web --wait\n  hypo power off web',
    );
  for (const [verb, action] of Object.entries(actions)) {
    const command = power
      .command(verb)
      .description(action.description)
      .argument('<machines...>', 'names, paths or ids')
      .addHelpText('after', `\nExample:\n  hypo power ${verb} web`);
    if (verb === 'shutdown') {
      command
        .option('--wait', 'until the machine is off')
        .option('--timeout <seconds>', 'how long to wait', seconds, 300);
    }
    command.action(async (names: string[], _options: unknown, self: Command) => {
      const options = optionsOf<{ wait?: boolean; timeout?: number }>(self);
      await onEach(self, context, {
        find: (inventory) => names.map((name) => inventory.find('VirtualMachine', name)),
        done: options.wait ? 'shut down' : action.done,
        act: (session, machine) => perform(session, context, action, machine, options),
      });
    });
  }
};

async function perform(
  session: ServerSession,
  context: CommandContext,
  { task, request }: PowerAction,
  { ref, name }: InventoryObject<'VirtualMachine'>,
  { wait = false, timeout = 300 }: { readonly wait?: boolean; readonly timeout?: number },
): Promise<void> {
  if (task !== undefined) await runTask(session, context, name, () => task(session.client, ref));
  await request?.(session.client, ref);
  if (wait) await untilOff(session, ref, name, timeout, context.signal);
}

async function untilOff(session: ServerSession, ref: Machine, name: string, timeout: number, signal: AbortSignal) {
  const patience = AbortSignal.timeout(timeout * 1000);
  try {
    for await (const values of watchObject(session, ref, ['runtime.powerState'], AbortSignal.any([signal, patience]))) {
      if (values['runtime.powerState'] === 'poweredOff') return;
    }
  } catch (error) {
    if (!patience.aborted) throw error;
    throw new CliError(
      'failed',
      `${name} did not shut down within ${timeout} seconds; 'hypo power off' ends it at once.`,
    );
  }
}

/** Reads a number of seconds. Throws `usage`. */
export function seconds(text: string): number {
  const value = Number(text);
  if (!/^\d{1,6}$/.test(text) || value < 1) throw new CliError('usage', `'${text}' is no number of seconds.`);
  return value;
}
