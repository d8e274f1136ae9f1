import type { TaskInfo } from '@hypostyle/vim';
import type { Command } from 'commander';
import { type CommandContext, type CommandDefinition, onServer, optionsOf } from '../command-context.ts';
import type { ServerSession } from '../connection/server-session.ts';
import { CliError } from '../errors.ts';
import { formatDuration, formatTime } from '../output/format.ts';
import { formatTable } from '../output/table.ts';
import { print, printJson } from '../output/terminal.ts';
import { count } from './events.ts';

interface TasksOptions {
  readonly follow?: boolean;
  readonly limit: number;
  readonly json?: boolean;
}

/** `hypo tasks`: work that is done and under way. */
export const defineTasks: CommandDefinition = (program, context) => {
  program
    .command('tasks')
    .description('show work that is done and under way, newest last')
    .option('--follow', 'go on with each change, until Ctrl-C')
    .option('--limit <count>', 'newest tasks', count, 30)
    .addHelpText('after', '\nExamples:\n  hypo tasks\n  hypo tasks --follow')
    .action(async (_options: unknown, command: Command) => {
      const options = optionsOf<TasksOptions>(command);
      await onServer(command, context, (session) => showTasks(session, context, options));
    });
};

const head = ['STARTED', 'TASK', 'ON', 'STATE', 'TOOK', 'BY'];

async function showTasks(session: ServerSession, context: CommandContext, options: TasksOptions): Promise<void> {
  const { client, content } = session;
  if (content.taskManager === undefined) throw new CliError('failed', 'The server keeps no tasks.');
  if (options.follow) {
    await followTasks(session, content.taskManager, context, options.json ?? false);
    return;
  }
  const collector = await client.call(content.taskManager, 'CreateCollectorForTasks', { filter: {} });
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
