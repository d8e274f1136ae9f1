import { open } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { homeAt } from '@hypostyle/server';
import type { Command } from 'commander';
import { type CommandContext, type CommandDefinition, onServer, optionsOf } from '../../command-context.ts';
import { homePath } from '../../connection/server-address.ts';
import type { ServerSession } from '../../connection/server-session.ts';
import { CliError } from '../../errors.ts';
import type { InventoryObject } from '../../inventory/inventory.ts';
import { loadInventory } from '../../inventory/load-inventory.ts';
import { type DatastoreFile, parseDatastorePath, readRemote } from '../../logs/remote-file.ts';

interface LogsOptions {
  readonly serial?: boolean;
  readonly follow?: boolean;
}

/** Bytes of the end that are shown at first. */
const tailBytes = 64 * 1024;
/** Milliseconds between looks at a file that is followed. */
const interval = 1_000;

/** `hypo logs`: what the engine said, what the guest wrote on its serial port, what the host logs. */
export const defineLogs: CommandDefinition = (program, context) => {
  program
    .command('logs')
    .description("show the end of a machine's log, or of the local host's own")
    .argument('[machine]', 'name, path or id; the host itself unless told')
    .option('--serial', 'what the guest wrote on its serial port, where that is kept in a file')
    .option('--follow', 'go on with what comes, until Ctrl-C')
    .addHelpText('after', '\nExamples:\n  hypo logs\n  hypo logs web\n  hypo logs web --serial --follow')
    .action(async (name: string | undefined, _options: unknown, command: Command) => {
      const options = optionsOf<LogsOptions>(command);
      if (name === undefined) {
        if (options.serial) throw new CliError('usage', '--serial needs the name of a machine.');
        await showLocal(homeAt(homePath(options, context.environment)).logFile, context, options.follow ?? false);
        return;
      }
      await onServer(command, context, async (session) => {
        const inventory = await loadInventory(session);
        const machine = inventory.find('VirtualMachine', name);
        const datacenter = inventory.within(machine, 'Datacenter')?.name ?? '';
        const path = options.serial ? await serialFile(session, machine) : await engineLog(session, machine);
        const file = { ...parseDatastorePath(path), datacenter };
        await showRemote(session, context, file, machine.name, options.follow ?? false);
      });
    });
};

type Machine = InventoryObject<'VirtualMachine'>;

// Both answer a path such as `[datastore1] web/hypostyle.log`.

async function engineLog(session: ServerSession, { ref }: Machine): Promise<string> {
  const [found] = await session.client.retrieve(ref, ['summary']);
  return (found?.values.summary?.config.vmPathName ?? '').replace(/[^/]*$/, 'hypostyle.log');
}

async function serialFile(session: ServerSession, { ref, name }: Machine): Promise<string> {
  const [found] = await session.client.retrieve(ref, ['config']);
  for (const { backing } of found?.values.config?.hardware.device ?? []) {
    const { _typeName: type, fileName } = (backing ?? {}) as {
      readonly _typeName?: string;
      readonly fileName?: string;
    };
    if (type === 'VirtualSerialPortFileBackingInfo' && fileName) return fileName;
  }
  throw new CliError('not-found', `${name} keeps nothing of its serial port in a file.`, {
    next: `See it as it comes with 'hypo console ${name}'.`,
  });
}

async function showRemote(
  session: ServerSession,
  { terminal, signal }: CommandContext,
  file: DatastoreFile,
  name: string,
  follow: boolean,
): Promise<void> {
  let part = await readRemote(session, file, -tailBytes, signal);
  if (part === undefined && !follow) {
    throw new CliError('not-found', `${name} has no log yet.`, {
      next: 'It is written when the machine is powered on.',
    });
  }
  let offset = 0;
  for (;;) {
    if (part !== undefined) {
      // A file that became shorter was begun anew.
      if (part.size < offset) offset = 0;
      for await (const chunk of part.content) terminal.output.write(chunk);
      offset = part.size;
    }
    if (!follow) return;
    await sleep(interval, undefined, { signal }).catch(() => {});
    if (signal.aborted) return;
    part = await readRemote(session, file, offset, signal);
  }
}

async function showLocal(path: string, { terminal, signal }: CommandContext, follow: boolean): Promise<void> {
  const opened = await open(path, 'r').catch((cause: unknown) => {
    throw new CliError('not-found', `There is no log at ${path}.`, {
      next: "The host writes it; name its folder with --home, or start it with 'hypo host'.",
      cause,
    });
  });
  let file = opened;
  try {
    let { size, ino } = await file.stat();
    let offset = Math.max(0, size - tailBytes);
    for (;;) {
      for await (const chunk of file.createReadStream({ start: offset, autoClose: false })) {
        terminal.output.write(chunk as Buffer);
        offset += (chunk as Buffer).length;
      }
      if (!follow) return;
      await sleep(interval, undefined, { signal }).catch(() => {});
      if (signal.aborted) return;
      // The file was put aside for a new one.
      const next = await open(path, 'r').catch(() => undefined);
      const status = await next?.stat();
      if (next === undefined || status === undefined || status.ino === ino) {
        await next?.close();
        continue;
      }
      await file.close();
      file = next;
      ({ size, ino } = status);
      offset = 0;
    }
  } finally {
    await file.close();
  }
}
