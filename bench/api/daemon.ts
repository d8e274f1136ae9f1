import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { homeAt } from '@hypostyle/server';
import type { Subject } from './subject.ts';

export interface DaemonQuestion {
  readonly ask: 'begin' | 'end' | 'settle' | 'changed-at';
  readonly machine?: string;
}

/** The longest time for which the event loop let nothing else in, in milliseconds. */
export interface Stall {
  readonly elapsed: number;
  /** Of processor time: without what other processes took. */
  readonly processor: number;
}

export interface DaemonReply {
  readonly stall?: Stall;
  readonly heap?: number;
  readonly changedAt?: string;
}

export interface DaemonOptions {
  readonly home: string;
  readonly mode?: 'host' | 'center';
  /** Folder for a processor profile of the whole run. */
  readonly profile?: string | undefined;
  /** Notes when each machine changes, which costs a little. */
  readonly keepsCommitTimes?: boolean;
}

/** Hypostyle in a process of its own. */
export class Daemon implements Subject {
  readonly pid: number;
  readonly address: Subject['address'];
  /** Milliseconds from the process's start until it answers. */
  readonly startMilliseconds: number;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, address: Subject['address'], startMilliseconds: number) {
    this.#child = child;
    this.pid = child.pid ?? 0;
    this.address = address;
    this.startMilliseconds = startMilliseconds;
  }

  static async start({ home, mode = 'host', profile, keepsCommitTimes = false }: DaemonOptions): Promise<Daemon> {
    const begun = performance.now();
    const execArgv = [
      '--disable-warning=ExperimentalWarning',
      '--expose-gc',
      ...(profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profile}`]),
    ];
    // As `hypo host --detach` has it.
    const cache = join(homeAt(home).cacheDirectory, 'node');
    const env = { ...process.env, NODE_COMPILE_CACHE: cache, MALLOC_ARENA_MAX: '2' };
    const child = fork(
      join(import.meta.dirname, 'daemon-process.ts'),
      [home, mode, ...(keepsCommitTimes ? ['keep-commit-times'] : [])],
      { execArgv, env },
    );
    const ready = await firstMessage<{ url: string; userName: string; passwordFile: string }>(child);
    const startMilliseconds = performance.now() - begun;
    const password = (await readFile(ready.passwordFile, 'utf8')).trim();
    return new Daemon(child, { url: ready.url, userName: ready.userName, password }, startMilliseconds);
  }

  async settle(): Promise<void> {
    await this.heap();
  }

  /** MB that live objects take, once garbage was let go. */
  async heap(): Promise<number> {
    return (await this.#ask({ ask: 'settle' })).heap ?? Number.NaN;
  }

  /** How long the event loop was held up at most while `work` ran. */
  async longestStall(work: () => Promise<unknown>): Promise<Stall> {
    await this.#ask({ ask: 'begin' });
    await work();
    const { stall } = await this.#ask({ ask: 'end' });
    if (stall === undefined) throw new Error('the server told no stall');
    return stall;
  }

  /** When a machine last changed, in nanoseconds of `process.hrtime`. */
  async changedAt(machine: string): Promise<bigint> {
    return BigInt((await this.#ask({ ask: 'changed-at', machine })).changedAt ?? '');
  }

  async close(): Promise<void> {
    const exit = once(this.#child, 'exit');
    this.#child.disconnect();
    await exit;
  }

  async #ask(question: DaemonQuestion): Promise<DaemonReply> {
    const reply = firstMessage<DaemonReply>(this.#child);
    this.#child.send(question);
    return reply;
  }
}

function firstMessage<T>(child: ChildProcess): Promise<T> {
  return new Promise((resolve, reject) => {
    const settle = () => child.off('message', heard).off('exit', ended).off('error', failed);
    const heard = (message: unknown) => {
      settle();
      resolve(message as T);
    };
    const ended = (code: number | null) => {
      settle();
      reject(new Error(`the server ended with ${code}`));
    };
    const failed = (error: Error) => {
      settle();
      reject(error);
    };
    child.on('message', heard).on('exit', ended).on('error', failed);
  });
}
