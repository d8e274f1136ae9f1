import type { Event, EventFilterSpec } from '@hypostyle/vim';
import type { Command } from 'commander';
import { type CommandContext, type CommandDefinition, onServer, optionsOf } from '../../command-context.ts';
import type { ServerSession } from '../../connection/server-session.ts';
import { CliError } from '../../errors.ts';
import { findAnything } from '../../inventory/find-object.ts';
import { loadInventory } from '../../inventory/load-inventory.ts';
import { watchObject } from '../../inventory/watch.ts';
import { formatTime } from '../../output/format.ts';
import { printable } from '../../output/table.ts';
import { print } from '../../output/terminal.ts';

interface EventsOptions {
  readonly follow?: boolean;
  readonly limit: number;
  readonly type?: readonly string[];
  readonly category?: readonly string[];
  readonly user?: string;
  readonly long?: boolean;
}

/** `hypo events`: what happened. */
export const defineEvents: CommandDefinition = (program, context) => {
  program
    .command('events')
    .description('show what happened, oldest first')
    .argument('[object]', 'only what concerns this object and what is in it: name, path or id')
    .option('--follow', 'go on with what happens, until Ctrl-C')
    .option('-n, --limit <count>', 'newest events to begin with', count, 50)
    .option('--type <types...>', 'only of these types, such as VmPoweredOnEvent')
    .option('--category <categories...>', 'only info, warning, error or user')
    .option('--user <name>', 'only what this user did')
    .option('-l, --long', 'tell the types')
    .addHelpText(
      'after',
      '\nExamples:\n  hypo events\n  hypo events web --follow\n  hypo events esx2 --category warning error\n  hypo events --json --limit 1000',
    )
    .action(async (name: string | undefined, _options: unknown, command: Command) => {
      const options = optionsOf<EventsOptions>(command);
      await onServer(command, context, (session) => showEvents(session, context, name, options));
    });
};

async function showEvents(
  session: ServerSession,
  context: CommandContext,
  name: string | undefined,
  options: EventsOptions & { readonly json?: boolean },
): Promise<void> {
  const { client, content } = session;
  if (content.eventManager === undefined) throw new CliError('failed', 'The server keeps no events.');
  const filter: EventFilterSpec = {
    ...(name === undefined
      ? {}
      : { entity: { entity: findAnything(await loadInventory(session), name).ref, recursion: 'all' } }),
    ...(options.type === undefined ? {} : { eventTypeId: options.type }),
    ...(options.category === undefined ? {} : { category: options.category }),
    ...(options.user === undefined ? {} : { userName: { systemUser: false, userList: [options.user] } }),
  };
  const collector = await client.call(content.eventManager, 'CreateCollectorForEvents', { filter });
  await client.call(collector, 'SetCollectorPageSize', { maxCount: options.limit });
  let last = -1;
  const show = (page: readonly Event[]) => {
    for (const event of [...page].sort((a, b) => a.key - b.key)) {
      if (event.key <= last) continue;
      last = event.key;
      print(context.terminal, options.json ? JSON.stringify(plainEvent(event)) : eventLine(event, options.long));
    }
  };
  if (options.follow) {
    for await (const { latestPage } of watchObject(session, collector, ['latestPage'], context.signal))
      show(latestPage ?? []);
  } else {
    const [found] = await client.retrieve(collector, ['latestPage']);
    show(found?.values.latestPage ?? []);
  }
}

function plainEvent(event: Event) {
  return {
    key: event.key,
    time: event.createdTime,
    type: event._typeName,
    user: event.userName,
    machine: event.vm?.name,
    message: event.fullFormattedMessage,
  };
}

function eventLine(event: Event, long = false): string {
  const who = event.userName ? ` (${printable(event.userName)})` : '';
  const type = long ? `${printable(String(event._typeName))}  ` : '';
  return `${formatTime(event.createdTime)}  ${type}${printable(event.fullFormattedMessage ?? String(event._typeName))}${who}`;
}

/** Reads a count from 1 to 1000. Throws `usage`. */
export function count(text: string): number {
  const value = Number(text);
  if (!/^\d{1,4}$/.test(text) || value < 1 || value > 1000)
    throw new CliError('usage', `'${text}' is no number from 1 to 1000.`);
  return value;
}
