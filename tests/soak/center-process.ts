import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, openSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { hypo } from '../harness/daemon.ts';
import { endEngines } from '../harness/engines.ts';

export interface Measures {
  readonly pid: number;
  /**
   * Milliseconds that the event loop stood still; `work` is the longest in processor time of its own, `collection` the
   * longest pause to collect garbage.
   */
  readonly stalls: {
    readonly p99: number;
    readonly p999: number;
    readonly longest: number;
    readonly work: number;
    readonly collection: number;
  };
  /** Milliseconds of processor time of the daemon's main thread from the beginning of a read to its end. */
  readonly read: { readonly count: number; readonly median: number; readonly p99: number };
  readonly rss: number;
  readonly heapUsed: number;
}

/** A center with its host, in a process that is measured from inside; it can be killed and started anew. */
export class CenterProcess {
  readonly home: string;
  readonly #address: { readonly center: number; readonly host: number };
  #child: ChildProcess | undefined;
  #ready:
    | { readonly url: string; readonly username: string; readonly password: string; readonly pid: number }
    | undefined;

  private constructor(home: string, address: { readonly center: number; readonly host: number }) {
    this.home = home;
    this.#address = address;
  }

  static async make(address: { readonly center: number; readonly host: number }): Promise<CenterProcess> {
    return new CenterProcess(await mkdtemp(join(tmpdir(), 'hypostyle-soak-')), address);
  }

  get ready() {
    if (this.#ready === undefined) throw new Error('the center does not run');
    return this.#ready;
  }

  async start(): Promise<void> {
    const readyFile = join(this.home, 'ready.json');
    await rm(readyFile, { force: true });
    const { center, host } = this.#address;
    const log = openSync(join(this.home, 'terminal.log'), 'a');
    const child = spawn(
      process.execPath,
      [
        ...[hypo, '--home', this.home, 'up', '--listen', `127.0.0.1:${center}`, '--host-listen', `127.0.0.1:${host}`],
        ...['--log-level', 'warn', '--ready-file', readyFile],
      ],
      {
        stdio: ['ignore', log, log],
        env: {
          ...process.env,
          NODE_OPTIONS: `--import ${fileURLToPath(new URL('./meter.mjs', import.meta.url))}`,
          HYPOSTYLE_METER: join(this.home, 'meter.json'),
        },
      },
    );
    this.#child = child;
    for (let round = 0; !existsSync(readyFile); round += 1) {
      if (child.exitCode !== null || round > 4_000) {
        throw new Error(`the center did not start: ${await readFile(join(this.home, 'terminal.log'), 'utf8')}`);
      }
      await sleep(25);
    }
    this.#ready = JSON.parse(await readFile(readyFile, 'utf8'));
  }

  /** What was measured since the last time; garbage is collected first. */
  async measure(): Promise<Measures> {
    const file = join(this.home, 'meter.json');
    await rm(file, { force: true });
    process.kill(this.ready.pid, 'SIGUSR2');
    while (!existsSync(file)) await sleep(20);
    return JSON.parse(await readFile(file, 'utf8')) as Measures;
  }

  /** Ends the daemon in the middle of whatever it does. */
  async kill(): Promise<void> {
    process.kill(this.ready.pid, 'SIGKILL');
    while (this.#child?.exitCode === null && this.#child.signalCode === null) await sleep(10);
  }

  async remove(): Promise<void> {
    if (this.#child?.exitCode === null && this.#child.signalCode === null) await this.kill();
    await endEngines(this.home);
    await rm(this.home, { recursive: true, force: true });
  }
}
