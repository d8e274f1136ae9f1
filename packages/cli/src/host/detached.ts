import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, open, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findDaemon, homeAt, type ListenAddress, type ReadyMessage, writeReadyFile } from '@hypostyle/server';
import type { CommandContext } from '../command-context.ts';
import { CliError } from '../errors.ts';
import { print, printJson } from '../output/terminal.ts';
import type { HostSettings } from './foreground.ts';

/** Milliseconds that a start may take: machines are found again, and the engine is tried out at the first one. */
const patience = 120_000;

/** Starts a server in a session of its own, and tells where it is once it answers. */
export async function startDetached(
  settings: HostSettings,
  { readyFile, json }: { readonly readyFile?: string; readonly json?: boolean },
  { terminal, signal }: CommandContext,
): Promise<void> {
  const home = homeAt(settings.home);
  const running = await findDaemon(home);
  if (running !== undefined) {
    throw new CliError(
      'failed',
      `A server runs already for ${home.directory}, as process ${running.pid}${running.url ? ` at ${running.url}` : ''}.`,
      {
        next: "Use that one, or stop it with 'hypo down'.",
      },
    );
  }
  await mkdir(home.directory, { recursive: true, mode: 0o700 });
  const token = randomBytes(6).toString('hex');
  const ready = join(home.directory, `ready-${token}.json`);
  const words = join(home.directory, `start-${token}.log`);
  try {
    const message = await launch(settings, { ready, words, signal });
    if (readyFile !== undefined) await writeReadyFile(readyFile, message);
    const { url, hostUrl, username, pid } = message;
    if (json)
      printJson(terminal, { url, hostUrl, username, passwordFile: home.passwordFile, home: home.directory, pid });
    else print(terminal, describeStart(settings.mode, message, home.passwordFile));
  } finally {
    await Promise.all([rm(ready, { force: true }), rm(words, { force: true })]);
  }
}

/** Where it is, how to sign in, and what to do next. */
function describeStart(
  mode: 'host' | 'center',
  { url, hostUrl, username, pid }: ReadyMessage,
  passwordFile: string,
): string {
  const lines = [
    `The ${mode} answers at ${url} (process ${pid}).`,
    `  Sign in  ${username}, password in ${passwordFile}`,
    ...(hostUrl === undefined ? [] : [`  Host     ${hostUrl}, this machine's own endpoint: root, the same password`]),
    `  Next     hypo deploy FILE.ova --power-on, hypo ls${mode === 'center' ? ', hypo host join HOST:PORT' : ''}`,
  ];
  return lines.join('\n');
}

/** Settings by which a host takes a third less memory: compiled code from disk, and few pools of the C library. */
function memorySettings(home: string): Readonly<Record<string, string>> {
  return { NODE_COMPILE_CACHE: join(homeAt(home).cacheDirectory, 'node'), MALLOC_ARENA_MAX: '2' };
}

async function launch(
  { mode, home, listen, hostListen, nbdListen, postgres, logLevel }: HostSettings,
  { ready, words, signal }: { readonly ready: string; readonly words: string; readonly signal: AbortSignal },
): Promise<ReadyMessage> {
  const main = fileURLToPath(new URL('../main.ts', import.meta.url));
  const settings = ['--home', home, '--listen', addressText(listen), '--log-level', logLevel, '--ready-file', ready];
  if (hostListen !== undefined) settings.push('--host-listen', addressText(hostListen));
  if (nbdListen !== undefined) settings.push('--nbd-listen', addressText(nbdListen));
  // A URL may hold a password, and arguments are for everybody to see.
  const database = postgres === undefined ? {} : { HYPOSTYLE_POSTGRES: postgres };
  const output = await open(words, 'w', 0o600);
  const child = spawn(process.execPath, [main, mode === 'center' ? 'up' : 'host', ...settings], {
    cwd: '/',
    detached: true,
    env: { ...memorySettings(home), ...process.env, ...database },
    stdio: ['ignore', 'ignore', output.fd],
  });
  await output.close();
  let ended: string | undefined;
  child.once('error', (error) => {
    ended = error.message;
  });
  child.once('exit', (code, killedBy) => {
    ended = killedBy ?? `exit code ${code}`;
  });
  const until = Date.now() + patience;
  try {
    for (;;) {
      const text = await readFile(ready, 'utf8').catch(() => undefined);
      if (text !== undefined) return JSON.parse(text) as ReadyMessage;
      if (ended !== undefined) throw new CliError('failed', await lastWords(words, ended));
      signal.throwIfAborted();
      if (Date.now() > until)
        throw new CliError('failed', `The host did not answer within ${patience / 1000} seconds.`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  } catch (error) {
    if (ended === undefined) child.kill('SIGTERM');
    throw error;
  } finally {
    child.removeAllListeners();
    child.unref();
  }
}

function addressText({ host, port }: ListenAddress): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

async function lastWords(path: string, ended: string): Promise<string> {
  const said = (await readFile(path, 'utf8').catch(() => '')).trim().replace(/^hypo: /, '');
  return said || `The host ended while starting (${ended}).`;
}
