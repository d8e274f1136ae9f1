import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { HostWord } from './modelled-hosts-process.ts';

export interface HostAccess {
  readonly address: string;
  readonly port: number;
  readonly thumbprint: string;
  readonly userName: string;
  readonly password: string;
}

/**
 * Hosts in a process of their own: real ones in all that a center sees, over HTTPS, with a modelled hypervisor and their
 * state in memory. Host `n` has machines `hn-1`, `hn-2` …
 */
export class ModelledHosts {
  readonly pid: number;
  readonly hosts: readonly HostAccess[];
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, hosts: readonly HostAccess[]) {
    this.#child = child;
    this.pid = child.pid ?? 0;
    this.hosts = hosts;
  }

  static async start(hosts: number, machines: number): Promise<ModelledHosts> {
    const program = join(import.meta.dirname, 'modelled-hosts-process.ts');
    const execArgv = ['--disable-warning=ExperimentalWarning', '--max-old-space-size=8192'];
    const child = fork(program, [String(hosts), String(machines)], { execArgv });
    const word = await heard(child);
    if (!('hosts' in word)) throw new Error('the modelled hosts did not start');
    return new ModelledHosts(child, word.hosts);
  }

  /** Changes a machine's notes on its host; when the host's commit was, in nanoseconds of `process.hrtime`. */
  async annotate(name: string, text: string): Promise<bigint> {
    const reply = heard(this.#child);
    this.#child.send({ name, text });
    const word = await reply;
    if (!('committedAt' in word)) throw new Error(`${name} was not changed`);
    return BigInt(word.committedAt);
  }

  async close(): Promise<void> {
    if (!this.#child.connected) return;
    const exit = once(this.#child, 'exit');
    this.#child.disconnect();
    await exit;
  }
}

async function heard(child: ChildProcess): Promise<HostWord> {
  const ended = new AbortController();
  try {
    const exit = once(child, 'exit', { signal: ended.signal }).then(([code]) => {
      throw new Error(`the modelled hosts ended with ${code}`);
    });
    const [word] = await Promise.race([once(child, 'message', { signal: ended.signal }), exit]);
    return word as HostWord;
  } finally {
    ended.abort();
  }
}
