import { execFile } from 'node:child_process';
import { type ClientRun, type Endpoint, Unexpected } from './case.ts';

export interface CommandResult {
  /** The command as a person types it. */
  readonly command: string;
  /** 0 where it succeeded. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program of a client to its end, whatever that is. */
export function runCommand(
  program: string,
  words: readonly string[],
  options: { readonly environment?: Readonly<Record<string, string>>; readonly input?: string } = {},
): Promise<CommandResult> {
  const command = [program, ...words].join(' ');
  return new Promise((resolve) => {
    const env = { PATH: '/usr/bin:/bin:/usr/sbin:/sbin', LC_ALL: 'C.UTF-8', ...options.environment };
    const child = execFile(program, words, { env, timeout: 300_000, maxBuffer: 64 << 20 }, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : -1;
      const ended = code === -1 ? `${stderr}${error?.message}` : stderr;
      resolve({ command, code, stdout: stdout.trim(), stderr: ended.trim() });
    });
    child.stdin?.end(options.input ?? '');
  });
}

/** A case of a client that is a command. */
export interface CommandCase<Context> {
  readonly name: string;
  /** Both unless told. */
  readonly at?: Endpoint;
  readonly quick?: boolean;
  /** Brings about what the command needs, such as a machine that is off. */
  readonly before?: (context: Context) => Promise<void>;
  readonly words: (context: Context) => readonly string[] | Promise<readonly string[]>;
  /** What it says on its standard output; where it is to fail, on its standard error. */
  readonly says?: RegExp | ((context: Context) => RegExp | Promise<RegExp>);
  /** It is refused. Default false. */
  readonly fails?: boolean;
  /** Looks at what the command did, in the engine, the guest or the files. Throws what was expected. */
  readonly check?: (context: Context, said: string) => Promise<void>;
}

/** Runs cases of commands one after another. */
export async function runCommandCases<Context>(
  cases: readonly CommandCase<Context>[],
  context: Context,
  execute: (words: readonly string[]) => Promise<CommandResult>,
  { face, quick, part = '', tell }: ClientRun,
): Promise<void> {
  for (const each of cases) {
    if (!each.name.includes(part) || (quick && !each.quick) || (each.at !== undefined && each.at !== face.endpoint))
      continue;
    const began = performance.now();
    let result: CommandResult | undefined;
    try {
      await each.before?.(context);
      result = await execute(await each.words(context));
      const { command, code, stdout, stderr } = result;
      if ((code !== 0) !== (each.fails ?? false)) {
        const expected = each.fails ? 'a refusal' : 'success';
        throw new Unexpected({ command, said: `(${code}) ${stdout} ${stderr}`, expected });
      }
      const said = each.fails ? `${stderr}\n${stdout}` : stdout;
      const says = typeof each.says === 'function' ? await each.says(context) : each.says;
      if (says !== undefined && !says.test(said)) throw new Unexpected({ command, said, expected: `${says}` });
      await each.check?.(context, said);
      tell({ case: each.name, passed: true, seconds: secondsSince(began) });
    } catch (error) {
      tell({ case: each.name, passed: false, seconds: secondsSince(began), ...failureOf(error, result) });
    }
  }
}

/** What is told of a failure. */
export function failureOf(
  error: unknown,
  result?: Pick<CommandResult, 'command' | 'stdout' | 'stderr'>,
): Record<'command' | 'said' | 'expected', string> {
  if (error instanceof Unexpected) {
    const { command, said, expected } = error;
    return { command, said, expected };
  }
  const { command = 'what comes before it', stdout = '', stderr = '' } = result ?? {};
  return {
    command,
    said: `${stdout}${stderr}`.slice(0, 2_000),
    expected: error instanceof Error ? error.message : `${error}`,
  };
}

export function secondsSince(began: number): number {
  return (performance.now() - began) / 1000;
}
