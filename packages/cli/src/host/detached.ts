import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, open, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findDaemon, homeAt, type ReadyMessage, writeReadyFile } from '@hypostyle/server';
import type { CommandContext } from '../command-context.ts';
import { CliError } from '../errors.ts';
import { print, printJson } from '../output/terminal.ts';
import type { HostSettings } from './foreground.ts';

/** Milliseconds that a start may take: machines are found again, and the engine is tried out at the first one. */
const patience = 120_000;

/** Starts a host in a session of its own, and tells where it is once it answers. */
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
      `A host runs already for ${home.directory}, as process ${running.pid}${running.url ? ` at ${running.url}` : ''}.`,
      {
        next: "Use that one, or stop it with 'hypo host stop'.",
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
    const { url, username, pid } = message;
    if (json) printJson(terminal, { url, username, passwordFile: home.passwordFile, home: home.directory, pid });
    else print(terminal, `The host answers at ${url} (process ${pid}). Its password is in ${home.passwordFile}.`);
  } finally {
    await Promise.all([rm(ready, { force: true }), rm(words, { force: true })]);
  }
}

/** Settings by which a host takes a third less memory: compiled code from disk, and few pools of the C library. */
function memorySettings(home: string): Readonly<Record<string, string>> {
  return { NODE_COMPILE_CACHE: join(homeAt(home).cacheDirectory, 'node'), MALLOC_ARENA_MAX: '2' };
}

async function launch(
  { home, listen, logLevel }: HostSettings,
  { ready, words, signal }: { readonly ready: string; readonly words: string; readonly signal: AbortSignal },
): Promise<ReadyMessage> {
  const main = fileURLToPath(new URL('../main.ts', import.meta.url));
  const where = listen.host.includes(':') ? `[${listen.host}]:${listen.port}` : `${listen.host}:${listen.port}`;
  const settings = ['--home', home, '--listen', where, '--log-level', logLevel, '--ready-file', ready];
  const output = await open(words, 'w', 0o600);
  const child = spawn(process.execPath, [main, 'host', ...settings], {
    cwd: '/',
    detached: true,
    env: { ...memorySettings(home), ...process.env },
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

async function lastWords(path: string, ended: string): Promise<string> {
  const said = (await readFile(path, 'utf8').catch(() => '')).trim().replace(/^hypo: /, '');
  return said || `The host ended while starting (${ended}).`;
}
