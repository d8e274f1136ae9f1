import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type Engine, endEngines, enginesOf } from './engines.ts';

/** The `hypo` command. */
export const hypo = fileURLToPath(new URL('../../packages/cli/bin/hypo.mjs', import.meta.url));
/** Time that a daemon has to be ready, milliseconds: the first start of a home makes its certificates. */
const startLimit = 60_000;
const stopLimit = 20_000;

export interface DaemonOptions {
  /** A home that is there already, which `remove` then leaves alone. Default: a new one under the temporary folder. */
  readonly home?: string;
  /** A host alone, or a center with a host of its own (`hypo up`). Default: host. */
  readonly mode?: 'host' | 'center';
  /** Where it answers, `host:port`. Default: a free port of 127.0.0.1. */
  readonly listen?: string;
  /** Network namespace that it runs in; that of the test unless told. */
  readonly networkNamespace?: string;
  /** Database of a center's state; a file in its home unless told. */
  readonly postgres?: string;
}

interface Ready {
  readonly url: string;
  readonly hostUrl?: string;
  readonly username: string;
  readonly password: string;
  readonly pid: number;
}

/** A host or a center in a process of its own, as `hypo host` and `hypo up` start it. */
export class Daemon implements AsyncDisposable {
  readonly home: string;
  readonly mode: 'host' | 'center';
  readonly url: string;
  /** Address of the host of a center, where `url` is the center's. */
  readonly hostUrl: string;
  readonly host: string;
  readonly port: number;
  readonly username: string;
  readonly password: string;
  readonly pid: number;
  readonly #process: ChildProcess;
  readonly #output: () => string;
  readonly #ownsHome: boolean;

  private constructor(
    home: string,
    ready: Ready,
    child: {
      readonly process: ChildProcess;
      readonly output: () => string;
      readonly ownsHome: boolean;
      readonly mode: 'host' | 'center';
    },
  ) {
    const url = new URL(ready.url);
    this.home = home;
    this.mode = child.mode;
    this.url = ready.url;
    this.hostUrl = ready.hostUrl ?? ready.url;
    this.host = url.hostname;
    this.port = Number(url.port || 443);
    this.username = ready.username;
    this.password = ready.password;
    this.pid = ready.pid;
    this.#process = child.process;
    this.#output = child.output;
    this.#ownsHome = child.ownsHome;
  }

  /** Starts one and waits until it answers. Rejects with what it said when it does not. */
  static async start(options: DaemonOptions = {}): Promise<Daemon> {
    const { mode = 'host', listen = '127.0.0.1:0', networkNamespace, postgres } = options;
    const home = options.home ?? (await mkdtemp(join(tmpdir(), 'hypostyle-test-')));
    const readyFile = join(home, 'ready.json');
    await rm(readyFile, { force: true });
    // ip executes the command in its own process: the process ids are the daemon's all the same.
    const within = networkNamespace === undefined ? [] : ['ip', 'netns', 'exec', networkNamespace];
    const words = [process.execPath, hypo, '--home', home, mode === 'center' ? 'up' : 'host', '--listen', listen];
    const state = postgres === undefined ? [] : ['--postgres', postgres];
    const [command = '', ...rest] = [...within, ...words, ...state, '--ready-file', readyFile];
    const child = spawn(command, rest, { stdio: ['ignore', 'pipe', 'pipe'] });
    let said = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8');
      stream.on('data', (text: string) => {
        said = (said + text).slice(-20_000);
      });
    }
    const deadline = Date.now() + startLimit;
    while (!existsSync(readyFile)) {
      if (hasEnded(child) || Date.now() > deadline) {
        child.kill('SIGKILL');
        if (options.home === undefined) await rm(home, { recursive: true, force: true });
        throw new Error(`the ${mode} did not start; it said: ${said}`);
      }
      await sleep(25);
    }
    const ready = JSON.parse(await readFile(readyFile, 'utf8')) as Ready;
    const ownsHome = options.home === undefined;
    return new Daemon(home, ready, { process: child, output: () => said, ownsHome, mode });
  }

  /** Folder of the datastore that every host has. */
  get datastore(): string {
    return join(this.home, 'datastores', 'datastore1');
  }

  /** What it wrote to its terminal. */
  get output(): string {
    return this.#output();
  }

  get running(): boolean {
    return !hasEnded(this.#process);
  }

  /** Engines of this home that run now. */
  engines(): Promise<Engine[]> {
    return enginesOf(this.home);
  }

  /** Asks it to end, and waits. Its machines run on. Rejects when it does not end. */
  async stop(): Promise<void> {
    if (hasEnded(this.#process)) return;
    this.#process.kill('SIGTERM');
    await this.#ended();
  }

  /** Ends it in the middle of whatever it does. */
  async kill(): Promise<void> {
    if (hasEnded(this.#process)) return;
    this.#process.kill('SIGKILL');
    await this.#ended();
  }

  /** Ends it and its engines, and deletes the home if it was made for it. */
  async remove(): Promise<void> {
    try {
      await this.stop();
    } finally {
      this.#process.kill('SIGKILL');
      await endEngines(this.home);
      if (this.#ownsHome) await rm(this.home, { recursive: true, force: true });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.remove();
  }

  async #ended(): Promise<void> {
    const deadline = Date.now() + stopLimit;
    while (!hasEnded(this.#process)) {
      if (Date.now() > deadline) throw new Error(`the ${this.mode} did not end; it said: ${this.output}`);
      await sleep(20);
    }
  }
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}
