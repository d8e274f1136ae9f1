import { type ChildProcessByStdio, spawn } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { JsonLineParser } from '../qmp/json-lines.ts';
import { isObject } from '../qmp/qmp-message.ts';
import type { EngineRecord } from './identity.ts';
import type { SpawnerReply, SpawnerRequest } from './spawner-protocol.ts';

const program = fileURLToPath(new URL('./spawner-process.ts', import.meta.url));

/** How an engine ended. */
export interface EngineExit {
  readonly code: number | null;
  readonly signal: string | null;
}

export interface SpawnedEngine {
  readonly pid: number;
  readonly startTime: string;
  /** Resolves at the engine's end; undefined when the spawner process was lost first. */
  readonly exit: Promise<EngineExit | undefined>;
}

type Listener = (reply: SpawnerReply | undefined) => void;
type Request<Kind> = Omit<Extract<SpawnerRequest, { kind: Kind }>, 'id' | 'kind'>;

/** The driver's side of the spawner process, which it starts at the first need. */
export class Spawner {
  #child: ChildProcessByStdio<Writable, Readable, null> | undefined;
  readonly #listeners = new Map<number, Listener>();
  #waiting = 0;
  #nextId = 1;

  /** Starts the process now, so that the first engine does not wait for it. */
  warmUp(): void {
    this.#start();
  }

  /** Starts an engine; rejects when it cannot be started at all. */
  spawn(options: {
    readonly command: readonly string[];
    readonly logPath: string;
    readonly record: EngineRecord;
    readonly runDirectory: string;
  }): Promise<SpawnedEngine> {
    return new Promise((resolve, reject) => {
      const exit = Promise.withResolvers<EngineExit | undefined>();
      this.#send({ kind: 'spawn', ...options }, (reply) => {
        if (reply?.kind === 'spawned') {
          resolve({ pid: reply.pid, startTime: reply.startTime, exit: exit.promise });
          return false;
        }
        if (reply?.kind === 'exited') exit.resolve({ code: reply.code, signal: reply.signal });
        else exit.resolve(undefined);
        reject(new Error(reply?.kind === 'failed' ? reply.message : 'the spawner process is gone'));
        return true;
      });
    });
  }

  /** Resolves when the socket listens; the rest is told by the marker file. */
  drain(options: Request<'drain'>): Promise<void> {
    return this.#call({ kind: 'drain', ...options });
  }

  /** Resolves when another process holds the lock, for as long as somebody has the pipe open for writing; `locked` where that cannot be. */
  keep(options: Request<'keep'>): Promise<'held' | 'locked'> {
    return new Promise((resolve, reject) => {
      this.#send({ kind: 'keep', ...options }, (reply) => {
        if (reply?.kind === 'done') resolve('held');
        else if (reply?.kind === 'locked') resolve('locked');
        else reject(new Error(reply?.kind === 'failed' ? reply.message : 'the spawner process is gone'));
        return true;
      });
    });
  }

  /** Resolves when a shaper listens, which outlives this process. */
  shape(options: Request<'shape'>): Promise<void> {
    return this.#call({ kind: 'shape', ...options });
  }

  /** Resolves when everything was sent. */
  feed(options: Request<'feed'>): Promise<void> {
    return this.#call({ kind: 'feed', ...options });
  }

  /**
   * Runs a program to its end, which is also that of this process; `onOutput` gets what it writes. Rejects with its
   * last words when it fails, and with the signal's reason when that ended it.
   */
  run(
    command: readonly string[],
    { signal, onOutput }: { readonly signal?: AbortSignal; readonly onOutput?: (text: string) => void } = {},
  ): Promise<void> {
    return new Promise((resolve, reject) => {
      const id = this.#send({ kind: 'run', command }, (reply) => {
        if (reply?.kind === 'said') {
          onOutput?.(reply.text);
          return false;
        }
        signal?.removeEventListener('abort', stop);
        if (reply?.kind === 'exited' && reply.code === 0) resolve();
        else if (signal?.aborted) reject(signal.reason);
        else reject(new Error(lastWords(command[0] ?? '', reply)));
        return true;
      });
      const stop = () => this.#send({ kind: 'stop', request: id }, () => true);
      if (signal?.aborted) stop();
      else signal?.addEventListener('abort', stop, { once: true });
    });
  }

  /** Lets the process end; engines run on. */
  close(): void {
    this.#child?.stdin.end();
    this.#child = undefined;
  }

  #call(request: object): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#send(request, (reply) => {
        if (reply?.kind === 'done') resolve();
        else reject(new Error(reply?.kind === 'failed' ? reply.message : 'the spawner process is gone'));
        return true;
      });
    });
  }

  /** `listener` answers whether the request is over. */
  #send(request: object, listener: (reply: SpawnerReply | undefined) => boolean): number {
    const child = this.#start();
    const id = this.#nextId++;
    let waiting = true;
    this.#hold(child, 1);
    this.#listeners.set(id, (reply) => {
      if (waiting && reply?.kind !== 'said') {
        this.#hold(child, -1);
        waiting = false;
      }
      if (listener(reply) || !reply) this.#listeners.delete(id);
    });
    child.stdin.write(`${JSON.stringify({ ...request, id })}\n`);
    return id;
  }

  /** The process keeps this one alive only while an answer is awaited. */
  #hold(child: ChildProcessByStdio<Writable, Readable, null>, change: number): void {
    this.#waiting += change;
    const stdout = child.stdout as Readable & { ref(): void; unref(): void };
    if (this.#waiting > 0) stdout.ref();
    else stdout.unref();
  }

  #start(): ChildProcessByStdio<Writable, Readable, null> {
    if (this.#child) return this.#child;
    const child = spawn(process.execPath, ['--max-old-space-size=64', program], {
      detached: true,
      cwd: '/',
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    child.unref();
    (child.stdin as Writable & { unref(): void }).unref();
    (child.stdout as Readable & { unref(): void }).unref();
    const parser = new JsonLineParser({ maxBytes: 1 << 20 });
    child.stdout.on('data', (chunk: Buffer) => {
      for (const value of parser.push(chunk)) {
        if (isObject(value) && typeof value.id === 'number') this.#listeners.get(value.id)?.(value as SpawnerReply);
      }
    });
    const lost = () => {
      if (this.#child === child) this.#child = undefined;
      for (const listener of [...this.#listeners.values()]) listener(undefined);
    };
    child.on('error', lost);
    child.stdin.on('error', lost);
    child.stdout.on('close', lost);
    this.#child = child;
    return child;
  }
}

function lastWords(program: string, reply: SpawnerReply | undefined): string {
  if (reply?.kind === 'failed') return reply.message;
  if (reply?.kind !== 'exited') return 'the spawner process is gone';
  const words = (reply.words ?? '').trim().replace(/^qemu-img: /, '');
  return words || `${program} ended ${reply.signal ? `by ${reply.signal}` : `with code ${reply.code}`}`;
}
