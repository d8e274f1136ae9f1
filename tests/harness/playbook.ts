import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Daemon } from './daemon.ts';

/** What a task of a playbook answered: the module's own members, and whether it changed anything. */
interface TaskResult {
  readonly changed: boolean;
  readonly failed?: boolean;
  readonly skipped?: boolean;
  readonly msg?: string;
  readonly [member: string]: unknown;
}

export interface PlaybookRun {
  /** Results by the name of their task. */
  readonly results: Readonly<Record<string, TaskResult>>;
  /** What a task answered as one of its members. Throws where it did not. */
  answer<T>(task: string, member: string): T;
  /** Names of the tasks that changed something, in order. */
  readonly changed: readonly string[];
}

interface Output {
  readonly plays: readonly {
    readonly tasks: readonly {
      readonly task: { readonly name: string };
      readonly hosts: Readonly<Record<string, TaskResult>>;
    }[];
  }[];
}

/**
 * Runs a playbook of `tests/clients/ansible` against a server, with Debian's Ansible. Rejects with the task that failed
 * and what it said.
 */
export async function runPlaybook(
  name: string,
  daemon: Daemon,
  variables: Readonly<Record<string, unknown>> = {},
): Promise<PlaybookRun> {
  const folder = join(daemon.home, 'ansible');
  await mkdir(folder, { recursive: true });
  const settings = join(folder, 'variables.json');
  const { host: hostname, port, username, password } = daemon;
  const server = { hostname, port, username, password };
  const all = { ansible_python_interpreter: '/usr/bin/python3', server, ...variables };
  await writeFile(settings, JSON.stringify(all), { mode: 0o600 });
  const playbook = fileURLToPath(new URL(`../clients/ansible/${name}.yml`, import.meta.url));
  const text = await ansible(['-i', 'localhost,', '-c', 'local', '-e', `@${settings}`, playbook], folder);
  const start = text.indexOf('{');
  if (start < 0) throw new Error(`ansible-playbook ${name} answered no JSON: ${text}`);
  const output = JSON.parse(text.slice(start, text.lastIndexOf('}') + 1)) as Output;
  const results: Record<string, TaskResult> = {};
  for (const { task, hosts } of output.plays.flatMap(({ tasks }) => tasks)) {
    const result = hosts.localhost;
    if (result === undefined) continue;
    if (result.failed) throw new Error(`${name}: ${task.name}: ${failureOf(result)}`);
    results[task.name] = result;
  }
  const changed = Object.entries(results).flatMap(([task, result]) => (result.changed ? [task] : []));
  const answer = <T>(task: string, member: string): T => {
    const value = results[task]?.[member];
    if (value === undefined)
      throw new Error(`${name}: ${task} answered no ${member}: ${JSON.stringify(results[task])}`);
    return value as T;
  };
  return { results, changed, answer };
}

function failureOf({ msg, module_stderr: errors, exception }: TaskResult): string {
  return [msg, errors, exception].filter((part) => typeof part === 'string' && part !== '').join('\n');
}

/** Standard output of ansible-playbook, which ends with 2 where a task failed. */
function ansible(parameters: readonly string[], folder: string): Promise<string> {
  const environment = {
    PATH: '/usr/bin:/bin:/usr/sbin:/sbin',
    HOME: folder,
    LC_ALL: 'C.UTF-8',
    PYTHONDONTWRITEBYTECODE: '1',
    PYTHONPATH: fileURLToPath(new URL('../clients/ansible/python', import.meta.url)),
    PYTHONWARNINGS: 'ignore',
    ANSIBLE_HOME: folder,
    ANSIBLE_LOCAL_TEMP: join(folder, 'local'),
    ANSIBLE_REMOTE_TEMP: join(folder, 'remote'),
    ANSIBLE_STDOUT_CALLBACK: 'ansible.posix.json',
    ANSIBLE_LOCALHOST_WARNING: 'false',
    ANSIBLE_DEPRECATION_WARNINGS: 'false',
  };
  return new Promise((resolve, reject) => {
    execFile(
      '/usr/bin/ansible-playbook',
      parameters,
      { env: environment, timeout: 300_000, maxBuffer: 64 << 20 },
      (error, stdout, stderr) => {
        if (error !== null && error.code !== 2) reject(new Error(`${error.message}\n${stdout}${stderr}`));
        else resolve(stdout);
      },
    );
  });
}
