import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { createInterface } from 'node:readline';
import type { Subject } from './subject.ts';

/** govmomi's simulator with as many machines of its own. It keeps them in memory, not as folders. */
export class Vcsim implements Subject {
  readonly pid: number;
  readonly address: Subject['address'];
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, address: Subject['address']) {
    this.#child = child;
    this.pid = child.pid ?? 0;
    this.address = address;
  }

  static async start(path: string, machines: number, hosts = 1): Promise<Vcsim> {
    const port = await freePort();
    const inventory = ['-standalone-host', '0', '-cluster', '1', '-host', String(hosts), '-vm', String(machines)];
    const account = ['-username', 'user', '-password', 'pass'];
    const child = spawn(path, ['-l', `127.0.0.1:${port}`, ...inventory, '-autostart=false', ...account], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const ended = once(child, 'exit').then(() => {
      throw new Error(`${path} ended before it was ready`);
    });
    await Promise.race([announced(child), ended]);
    ended.catch(() => {});
    return new Vcsim(child, { url: `https://127.0.0.1:${port}`, userName: 'user', password: 'pass' });
  }

  async settle(): Promise<void> {}

  async close(): Promise<void> {
    const exit = once(this.#child, 'exit');
    this.#child.kill('SIGTERM');
    await exit;
  }
}

async function announced(child: ChildProcess): Promise<void> {
  if (child.stdout === null) throw new Error('vcsim has no output');
  for await (const line of createInterface(child.stdout)) if (line.includes('GOVC_URL=')) return;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}
