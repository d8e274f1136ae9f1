/**
 * A small process that starts engines. Starting a process from a large one blocks it for tens of milliseconds, and
 * what must outlive the daemon (engines, a memory image on its way to disk) has its own session here.
 * Ends when its input ends and no memory image is on its way.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, constants, mkdirSync, openSync, readFileSync, renameSync, writeFileSync, writeSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { createConnection, createServer, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { lockConflictCode } from '../machine/lock-conflict.ts';
import { JsonLineParser } from '../qmp/json-lines.ts';
import { type EngineIdentity, identityPath } from './identity.ts';
import { parseProcessStatus } from './process-status.ts';
import type { SpawnerReply, SpawnerRequest } from './spawner-protocol.ts';

/** A drain that nobody connects to in this time is given up. */
const connectTimeoutMs = 30_000;
const maxRequestBytes = 4 << 20;
/** Most of a program's last words that are told. */
const maxWords = 2_000;
const shaperProgram = fileURLToPath(new URL('../limits/shaper-process.ts', import.meta.url));
const programs = new Map<number, ChildProcess>();
let drains = 0;
let ended = false;

function reply(message: SpawnerReply): void {
  if (!ended) process.stdout.write(`${JSON.stringify(message)}\n`);
}

function startEngine(request: SpawnerRequest & { kind: 'spawn' }): void {
  mkdirSync(dirname(request.logPath), { recursive: true });
  const log = openSync(request.logPath, 'a', 0o600);
  try {
    const [program, ...args] = request.command;
    const child = spawn(program ?? '', args, {
      detached: true,
      stdio: ['ignore', log, log],
      cwd: '/',
      env: { PATH: process.env.PATH ?? '/usr/bin:/bin', LANG: 'C.UTF-8' },
    });
    child.on('error', (error) => reply({ id: request.id, kind: 'failed', message: error.message }));
    child.on('exit', (code, signal) => reply({ id: request.id, kind: 'exited', code, signal }));
    const { pid } = child;
    if (pid === undefined) return;
    const status = parseProcessStatus(readFileSync(`/proc/${pid}/stat`, 'utf8'));
    if (!status) return;
    const identity: EngineIdentity = { ...request.record, pid, startTime: status.startTime };
    writeSync(log, `\n${new Date().toISOString()} engine ${pid} starts\n`);
    writeIdentityNow(request.runDirectory, identity);
    reply({ id: request.id, kind: 'spawned', pid, startTime: status.startTime });
  } finally {
    closeSync(log);
  }
}

function writeIdentityNow(runDirectory: string, identity: EngineIdentity): void {
  mark(identityPath(runDirectory, identity.token), identity);
}

async function drain(request: SpawnerRequest & { kind: 'drain' }): Promise<void> {
  drains += 1;
  try {
    const file = await open(request.path, 'wx', 0o600);
    let bytes: number;
    try {
      const socket = await acceptOne(request.socketPath, () => reply({ id: request.id, kind: 'done' }));
      bytes = await store(socket, file, request.header);
    } finally {
      await file.close();
    }
    mark(request.markerPath, { bytes });
  } catch (error) {
    mark(request.markerPath, { error: String((error as Error).message) });
    reply({ id: request.id, kind: 'failed', message: String((error as Error).message) });
  } finally {
    drains -= 1;
    leaveWhenIdle();
  }
}

async function store(socket: Socket, file: FileHandle, header: string): Promise<number> {
  try {
    const first = Buffer.from(header, 'base64');
    await file.write(first);
    let bytes = first.length;
    for await (const chunk of socket as AsyncIterable<Buffer>) {
      for (let done = 0; done < chunk.length; ) {
        done += (await file.write(chunk, done, chunk.length - done)).bytesWritten;
      }
      bytes += chunk.length;
    }
    await file.sync();
    return bytes;
  } finally {
    // The engine must see at once that nobody takes its memory any more.
    socket.destroy();
  }
}

/** The marker appears whole or not at all. */
function mark(path: string, content: object): void {
  writeFileSync(`${path}.new`, JSON.stringify(content), { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

function acceptOne(path: string, listening: () => void): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => {
      clearTimeout(timer);
      server.close();
      resolve(socket);
    });
    const timer = setTimeout(() => {
      server.close();
      reject(new Error('the engine did not connect'));
    }, connectTimeoutMs);
    server.on('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    server.listen(path, listening);
  });
}

function run(request: SpawnerRequest & { kind: 'run' }): void {
  const [program, ...args] = request.command;
  const child = spawn(program ?? '', args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    cwd: '/',
    env: { PATH: process.env.PATH ?? '/usr/bin:/bin', LANG: 'C.UTF-8' },
  });
  const { id } = request;
  programs.set(id, child);
  let words = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => reply({ id, kind: 'said', text }));
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    words = (words + text).slice(-maxWords);
  });
  child.on('error', (error) => {
    programs.delete(id);
    reply({ id, kind: 'failed', message: error.message });
  });
  child.on('close', (code, signal) => {
    if (programs.delete(id)) reply({ id, kind: 'exited', code, signal, words });
  });
}

/** What is read of the pipe ends when the last who writes to it has gone, and with it the process that holds the lock. */
function keep({ id, lockPath, pipePath }: SpawnerRequest & { kind: 'keep' }): void {
  // With both ends open here nothing waits, whatever becomes of the engine.
  const both = openSync(pipePath, constants.O_RDWR);
  const input = openSync(pipePath, constants.O_RDONLY);
  const lock = ['flock', '--no-fork', '--nonblock', '--conflict-exit-code', `${lockConflictCode}`, lockPath];
  const [program = '', ...args] = [...lock, 'sh', '-c', 'echo held; exec cat > /dev/null'];
  const child = spawn(program, args, {
    detached: true,
    stdio: [input, 'pipe', 'ignore'],
    cwd: '/',
    env: { PATH: process.env.PATH ?? '/usr/bin:/bin', LANG: 'C.UTF-8' },
  });
  closeSync(input);
  closeSync(both);
  child.stdout?.once('data', () => {
    reply({ id, kind: 'done' });
    child.stdout?.destroy();
    child.unref();
  });
  child.on('error', (error) => reply({ id, kind: 'failed', message: error.message }));
  child.on('exit', (code) => {
    if (code === lockConflictCode) reply({ id, kind: 'locked' });
    else reply({ id, kind: 'failed', message: `nobody holds the lock: code ${code}` });
  });
}

function shape({ id, socketPath }: SpawnerRequest & { kind: 'shape' }): void {
  const child = spawn(process.execPath, ['--max-old-space-size=64', shaperProgram, socketPath], {
    detached: true,
    stdio: ['ignore', 'pipe', 'ignore'],
    cwd: '/',
    env: { PATH: process.env.PATH ?? '/usr/bin:/bin', LANG: 'C.UTF-8' },
  });
  child.stdout.once('data', () => {
    reply({ id, kind: 'done' });
    child.stdout.destroy();
    child.unref();
  });
  child.on('error', (error) => reply({ id, kind: 'failed', message: error.message }));
  child.on('exit', (code) => reply({ id, kind: 'failed', message: `the shaper ended with code ${code}` }));
}

const leftEarly = new Set(['ERR_STREAM_PREMATURE_CLOSE', 'EPIPE', 'ECONNRESET']);

async function feed(request: SpawnerRequest & { kind: 'feed' }): Promise<void> {
  const file = await open(request.path, 'r');
  try {
    const stream = file.createReadStream({ start: request.offset, highWaterMark: 1 << 20, autoClose: false });
    // An engine that has read what it needs may leave before the last byte is passed on, and one that fails leaves too:
    // it tells which it was when it is asked.
    await pipeline(stream, createConnection(request.socketPath)).catch((error: NodeJS.ErrnoException) => {
      if (!leftEarly.has(error.code ?? '')) throw error;
    });
    reply({ id: request.id, kind: 'done' });
  } finally {
    await file.close();
  }
}

function handle(request: SpawnerRequest): void {
  const fail = (error: unknown) => {
    reply({ id: request.id, kind: 'failed', message: error instanceof Error ? error.message : String(error) });
  };
  try {
    if (request.kind === 'spawn') startEngine(request);
    else if (request.kind === 'run') run(request);
    else if (request.kind === 'keep') keep(request);
    else if (request.kind === 'shape') shape(request);
    else if (request.kind === 'stop') {
      programs.get(request.request)?.kill('SIGTERM');
      reply({ id: request.id, kind: 'done' });
    } else (request.kind === 'drain' ? drain(request) : feed(request)).catch(fail);
  } catch (error) {
    fail(error);
  }
}

function leaveWhenIdle(): void {
  if (ended && drains === 0) process.exit(0);
}

const parser = new JsonLineParser({ maxBytes: maxRequestBytes });
process.stdin.on('data', (chunk: Buffer) => {
  for (const request of parser.push(chunk)) handle(request as SpawnerRequest);
});
process.stdin.on('end', () => {
  ended = true;
  for (const child of programs.values()) child.kill('SIGKILL');
  leaveWhenIdle();
});
// A terminal's Ctrl-C goes to everyone in the foreground; only the end of input ends this process.
process.on('SIGINT', () => {});
process.stdout.on('error', () => {
  ended = true;
  leaveWhenIdle();
});
