import { Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { data, type GuestProcessInfo } from '@hypostyle/vim';
import type { Command } from 'commander';
import { type CommandContext, optionsOf } from '../../command-context.ts';
import { CliError, EarlyEnd } from '../../errors.ts';
import { type GuestSession, guestCommand, inGuest } from '../../guest/guest-session.ts';
import { downloadFromGuest } from '../../guest/guest-transfer.ts';
import { answer, answerRows } from '../../output/answer.ts';

/** Milliseconds between looks at a program that runs. */
const firstPause = 100;
const lastPause = 2_000;

export function defineGuestProcesses(guest: Command, context: CommandContext): void {
  defineRun(guest, context);
  defineStart(guest, context);
  defineList(guest, context);
  defineKill(guest, context);
  defineEnvironment(guest, context);
}

function defineRun(guest: Command, context: CommandContext): void {
  guestCommand(guest, 'run', 'run a program, wait for its end, and show what it wrote')
    .argument('<program>', 'path of the program, or a name that is found there')
    .argument('[arguments...]', 'as they are: no shell looks at them; after -- where some begin with a dash')
    .option('-C, --directory <path>', 'folder in which it runs')
    .option('-e, --env <NAME=value...>', 'variables that it gets', [])
    .addHelpText(
      'after',
      `
The exit code is the program's own.

Examples:
  hypo guest run --login root web -- uname -a
  hypo guest run --login root web -e LANG=C -- /usr/bin/apt-get update`,
    )
    .action(async (machine: string, program: string, words: string[], _options: unknown, command: Command) => {
      const { directory, env } = optionsOf<{ directory?: string; env: string[] }>(command);
      const ended = await inGuest(command, context, machine, (session) =>
        runAndRead(session, context, {
          program,
          words,
          env,
          ...(directory === undefined ? {} : { directory }),
        }),
      );
      const { terminal } = context;
      if (optionsOf(command).json) answer(context, command, ended, '');
      else {
        terminal.output.write(ended.output);
        terminal.errors.write(ended.errors);
      }
      if (ended.exitCode !== 0) throw new EarlyEnd(ended.exitCode);
    });
}

interface Run {
  readonly program: string;
  readonly words: readonly string[];
  readonly env: readonly string[];
  readonly directory?: string;
}

/** Runs a program with its output in two files of a folder of its own, which goes afterwards. */
async function runAndRead(session: GuestSession, context: CommandContext, { program, words, env, directory }: Run) {
  const { server, machine, auth, files } = session;
  const on = { vm: machine.ref, auth };
  const folder = await server.client.call(files, 'CreateTemporaryDirectoryInGuest', {
    ...on,
    prefix: 'run-',
    suffix: '',
  });
  try {
    const [output, errors] = [`${folder}/output`, `${folder}/errors`];
    const line = [program, ...words].map(quoted).join(' ');
    const pid = await start(session, {
      path: '/bin/sh',
      line: `-c ${quoted(line)} >${quoted(output)} 2>${quoted(errors)} </dev/null`,
      env,
      ...(directory === undefined ? {} : { directory }),
    });
    const { exitCode = 0 } = await untilEnded(session, pid, context.signal);
    return {
      machine: machine.name,
      pid,
      exitCode,
      output: await read(session, output, context.signal),
      errors: await read(session, errors, context.signal),
    };
  } finally {
    await server.client
      .call(files, 'DeleteDirectoryInGuest', { ...on, directoryPath: folder, recursive: true })
      .catch(() => {});
  }
}

async function read(session: GuestSession, path: string, signal: AbortSignal): Promise<string> {
  const parts: Buffer[] = [];
  const to = new Writable({
    write(part: Buffer, _encoding, done) {
      parts.push(part);
      done();
    },
  });
  await downloadFromGuest(session, { path, to, signal });
  return Buffer.concat(parts).toString('utf8');
}

async function start(
  { server, machine, auth, processes }: GuestSession,
  { path, line, env, directory }: { path: string; line: string; env: readonly string[]; directory?: string },
): Promise<number> {
  const spec = data('GuestProgramSpec', {
    programPath: path,
    arguments: line,
    ...(directory === undefined ? {} : { workingDirectory: directory }),
    ...(env.length === 0 ? {} : { envVariables: env }),
  });
  return Number(await server.client.call(processes, 'StartProgramInGuest', { vm: machine.ref, auth, spec }));
}

async function untilEnded(session: GuestSession, pid: number, signal: AbortSignal): Promise<GuestProcessInfo> {
  for (let pause = firstPause; ; pause = Math.min(pause * 2, lastPause)) {
    const [info] = await list(session, [pid]);
    if (info === undefined) throw new CliError('failed', `The guest has forgotten process ${pid}.`);
    if (info.endTime !== undefined) return info;
    await sleep(pause, undefined, { signal });
  }
}

async function list({ server, machine, auth, processes }: GuestSession, pids: readonly number[]) {
  const found = await server.client.call(processes, 'ListProcessesInGuest', { vm: machine.ref, auth, pids });
  return found ?? [];
}

/** A word that a shell takes as it is. */
function quoted(word: string): string {
  return /^[\w./:=@%+,-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

function defineStart(guest: Command, context: CommandContext): void {
  guestCommand(guest, 'start', 'start a program and say its process')
    .argument('<program>', 'path of the program')
    .argument('[arguments...]', 'a shell of the guest looks at them, so that output may go to files')
    .option('-C, --directory <path>', 'folder in which it runs')
    .option('-e, --env <NAME=value...>', 'variables that it gets', [])
    .addHelpText('after', "\nExample:\n  hypo guest start --login root web -- /usr/bin/make install '>/tmp/log 2>&1'")
    .action(async (machine: string, program: string, words: string[], _options: unknown, command: Command) => {
      const { directory, env } = optionsOf<{ directory?: string; env: string[] }>(command);
      const pid = await inGuest(command, context, machine, (session) =>
        start(session, {
          path: program,
          line: words.join(' '),
          env,
          ...(directory === undefined ? {} : { directory }),
        }),
      );
      answer(context, command, { pid }, String(pid));
    });
}

function defineList(guest: Command, context: CommandContext): void {
  guestCommand(guest, 'ps', 'list its processes, also those that were started from here and ended lately')
    .option('-p, --pid <number...>', 'these only', [])
    .option('-X, --wait', 'wait until they have ended')
    .addHelpText(
      'after',
      '\nExamples:\n  hypo guest ps --login root web\n  hypo guest ps --login root web --pid 812 --wait --json',
    )
    .action(async (machine: string, _options: unknown, command: Command) => {
      const { pid, wait = false } = optionsOf<{ pid: string[]; wait?: boolean }>(command);
      const pids = pid.map(processNumber);
      const rows = await inGuest(command, context, machine, async (session) => {
        if (wait) for (const each of pids) await untilEnded(session, each, context.signal);
        return (await list(session, pids)).map((info) => ({
          pid: Number(info.pid),
          owner: info.owner,
          started: info.startTime,
          ended: info.endTime ?? null,
          exitCode: info.exitCode ?? null,
          command: info.cmdLine,
        }));
      });
      answerRows(context, command, rows, ['PID', 'OWNER', 'STARTED', 'EXIT', 'COMMAND'], (row) => [
        String(row.pid),
        row.owner,
        row.started,
        row.exitCode === null ? '' : String(row.exitCode),
        row.command,
      ]);
    });
}

function defineKill(guest: Command, context: CommandContext): void {
  guestCommand(guest, 'kill', 'end processes: asked first, killed after five seconds')
    .argument('<pids...>', 'their numbers')
    .addHelpText('after', '\nExample:\n  hypo guest kill --login root web 812')
    .action(async (machine: string, numbers: string[], _options: unknown, command: Command) => {
      const pids = numbers.map(processNumber);
      await inGuest(command, context, machine, async ({ server, machine: { ref }, auth, processes }) => {
        for (const pid of pids) await server.client.call(processes, 'TerminateProcessInGuest', { vm: ref, auth, pid });
      });
      answer(context, command, { ended: pids }, `${pids.join(', ')} ended`);
    });
}

function defineEnvironment(guest: Command, context: CommandContext): void {
  guestCommand(guest, 'getenv', 'show the variables that programs get')
    .argument('[names...]', 'these only')
    .addHelpText('after', '\nExample:\n  hypo guest getenv --login ann web HOME')
    .action(async (machine: string, names: string[], _options: unknown, command: Command) => {
      const variables = await inGuest(
        command,
        context,
        machine,
        async ({ server, machine: { ref }, auth, processes }) =>
          server.client.call(processes, 'ReadEnvironmentVariableInGuest', { vm: ref, auth, names }),
      );
      answer(context, command, variables ?? [], (variables ?? []).join('\n'));
    });
}

function processNumber(text: string): number {
  if (/^[1-9]\d{0,9}$/.test(text)) return Number(text);
  throw new CliError('usage', `'${text}' is no number of a process.`);
}
