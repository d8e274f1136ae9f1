import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Daemon } from './daemon.ts';

/** What pyvmomi_history.py says, at a host and at a center. */
export const historySteps = [
  'the latest page',
  'read forth and back',
  'what happens later, until it is destroyed',
  'filters',
  'tasks',
  'what a host measures',
];

const interpreters = { py: '/usr/bin/python3', rb: '/usr/bin/ruby' } as const;

/**
 * Runs a script of `tests/clients` against a host, and answers the lines that it wrote. Rejects with all that it said
 * when it ends with an error, or takes longer than `limitMs` (default 2 minutes).
 */
export function runClient(
  name: string,
  daemon: Daemon,
  options: {
    readonly arguments?: readonly string[];
    readonly limitMs?: number;
    /** Variables of its environment, which go before those that every script gets. */
    readonly environment?: Readonly<Record<string, string>>;
  } = {},
): Promise<string[]> {
  const script = fileURLToPath(new URL(`../clients/${name}`, import.meta.url));
  const interpreter = name.endsWith('.rb') ? interpreters.rb : interpreters.py;
  return new Promise((resolve, reject) => {
    const child = spawn(interpreter, [script, ...(options.arguments ?? [])], {
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: options.limitMs ?? 120_000,
      env: {
        PATH: '/usr/bin:/bin',
        LANG: 'C.UTF-8',
        PYTHONDONTWRITEBYTECODE: '1',
        PYTHONWARNINGS: 'ignore',
        SERVER_HOST: daemon.host,
        SERVER_PORT: `${daemon.port}`,
        SERVER_USER: daemon.username,
        SERVER_PASSWORD: daemon.password,
        SERVER_HOME: daemon.home,
        SERVER_DATASTORE: daemon.datastore,
        ...options.environment,
      },
    });
    let output = '';
    let errors = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      errors += text;
    });
    child.on('error', reject);
    child.on('close', (code, signal) => {
      if (code === 0) resolve(output.split('\n').filter((line) => line !== ''));
      else reject(new Error(`${name} ended with ${code ?? signal}:\n${output}${errors}`));
    });
  });
}
