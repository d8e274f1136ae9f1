import type { TaskFilterSpec, TaskInfo } from '@hypostyle/vim';
import type { Command } from 'commander';
import { type CommandContext, type CommandDefinition, onServer, optionsOf } from '../../command-context.ts';
import type { ServerSession } from '../../connection/server-session.ts';
import { CliError } from '../../errors.ts';
import { findAnything } from '../../inventory/find-object.ts';
import { loadInventory } from '../../inventory/load-inventory.ts';
import { formatDuration, formatTime } from '../../output/format.ts';
import { formatTable } from '../../output/table.ts';
import { print, printJson } from '../../output/terminal.ts';
import { count } from './events.ts';

interface TasksOptions {
  readonly follow?: boolean;
  readonly limit: number;
  readonly json?: boolean;
  readonly state?: readonly TaskInfo['state'][];
}

/** `hypo tasks`: work that is done and under way. */
export const defineTasks: CommandDefinition = (program, context) => {
  program
    .command('tasks')
    .description('show work that is done and under way, newest last')
    .argument('[object]', 'only what concerns this object and what is in it: name, path or id')
    .option('--follow', 'go on with each change, until Ctrl-C')
    .option('-n, --limit <count>', 'newest tasks', count, 30)
    .option('--state <states...>', 'only queued, running, success or error')
    .addHelpText('after', '\nExamples:\n  hypo tasks\n  hypo tasks web --state error\n  hypo tasks --follow')
    .action(async (name: string | undefined, _options: unknown, command: Command) => {
      const options = optionsOf<TasksOptions>(command);
      for (const state of options.state ?? [])
        if (!['queued', 'running', 'success', 'error'].includes(state))
          throw new CliError('usage', `'${state}' is no state of a task: queued, running, success, error.`);
      if (options.follow && (name !== undefined || options.state !== undefined))
        throw new CliError('usage', '--follow shows every task.');
      await onServer(command, context, (session) => showTasks(session, context, name, options));
    });
};

const head = ['STARTED', 'TASK', 'ON', 'STATE', 'TOOK', 'BY'];

async function showTasks(
  session: ServerSession,
  context: CommandContext,
  name: string | undefined,
  options: TasksOptions,
): Promise<void> {
  const { client, content } = session;
  if (content.taskManager === undefined) throw new CliError('failed', 'The server keeps no tasks.');
  if (options.follow) {
    await followTasks(session, content.taskManager, context, options.json ?? false);
    return;
  }
  const filter: TaskFilterSpec = {
    ...(name === undefined
      ? {}
      : { entity: { entity: findAnything(await loadInventory(session), name).ref, recursion: 'all' } }),
    ...(options.state === undefined ? {} : { state: options.state }),
  };
  const collector = await client.call(content.taskManager, 'CreateCollectorForTasks', { filter });
  await client.call(collector, 'SetCollectorPageSize', { maxCount: options.limit });
  const [found] = await client.retrieve(collector, ['latestPage']);
  const tasks = [...(found?.values.latestPage ?? [])].sort((a, b) => a.queueTime.localeCompare(b.queueTime));
  if (options.json) printJson(context.terminal, tasks.map(plainTask));
  else print(context.terminal, formatTable(head, tasks.map(taskRow)));
}

async function followTasks(
  { client }: ServerSession,
  taskManager: NonNullable<ServerSession['content']['taskManager']>,
  { terminal, signal }: CommandContext,
  json: boolean,
): Promise<void> {
  const filter = {
    objectSet: [
      {
        obj: taskManager,
        skip: true,
        selectSet: [{ _typeName: 'TraversalSpec' as const, type: 'TaskManager', path: 'recentTask', skip: false }],
      },
    ],
    propSet: [{ type: 'Task', pathSet: ['info.state', 'info.progress'] }],
  };
  const shown = new Map<string, string>();
  for await (const _ of client.follow(filter, { signal })) {
    const [recent] = await client.retrieve(taskManager, ['recentTask'], { signal });
    const tasks = await client.retrieve(recent?.values.recentTask ?? [], ['info'], { signal });
    const known = new Set(tasks.map(({ ref }) => ref.value));
    for (const id of shown.keys()) if (!known.has(id)) shown.delete(id);
    for (const { ref, values } of tasks) {
      if (values.info === undefined) continue;
      const line = json ? JSON.stringify(plainTask(values.info)) : taskRow(values.info).join('  ');
      const state = `${values.info.state} ${values.info.progress ?? ''}`;
      if (shown.get(ref.value) === state) continue;
      shown.set(ref.value, state);
      print(terminal, line);
    }
  }
}

function plainTask(info: TaskInfo) {
  return {
    id: info.key,
    task: info.descriptionId,
    entity: info.entityName,
    state: info.state,
    progress: info.progress,
    error: info.error?.localizedMessage,
    queued: info.queueTime,
    started: info.startTime,
    completed: info.completeTime,
    user: userOf(info),
  };
}

function taskRow(info: TaskInfo): string[] {
  const { startTime, completeTime, state, progress, error } = info;
  const shown = state === 'running' && progress !== undefined ? `running ${progress}%` : state;
  return [
    formatTime(startTime ?? info.queueTime),
    info.descriptionId,
    info.entityName ?? '-',
    error?.localizedMessage === undefined ? shown : `${shown}: ${error.localizedMessage}`,
    startTime === undefined
      ? '-'
      : formatDuration(Date.parse(completeTime ?? new Date().toISOString()) - Date.parse(startTime)),
    userOf(info) ?? '-',
  ];
}

function userOf({ reason }: TaskInfo): string | undefined {
  const name = (reason as unknown as { readonly userName?: unknown }).userName;
  return typeof name === 'string' ? name : undefined;
}
