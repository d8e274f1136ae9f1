import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Client } from 'pg';

/** Where Debian's packages put the programs of each version. */
const installed = '/usr/lib/postgresql';

/** A PostgreSQL server of Debian's packages, with a folder, a socket and a port of its own. */
export class PostgresServer {
  readonly folder: string;
  readonly port: number;
  #postmaster: ChildProcess | undefined;

  /** Makes a server and starts it. It ends with this process, however that ends. */
  static async start(): Promise<PostgresServer> {
    const folder = await mkdtemp(join(tmpdir(), 'postgres-'));
    const server = new PostgresServer(folder, await freePort());
    try {
      if (isRoot) await promisify(execFile)('chown', ['postgres:', folder]);
      const initial = ['-U', 'admin', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync'];
      await runAsServer(program('initdb'), ['-D', server.data, ...initial]);
      await server.resume();
      return server;
    } catch (error) {
      await server.remove();
      throw error;
    }
  }

  private constructor(folder: string, port: number) {
    this.folder = folder;
    this.port = port;
  }

  get data(): string {
    return join(this.folder, 'data');
  }

  /** For the first user of the server, who may everything, by the socket. */
  get url(): string {
    return `postgres://admin@localhost:${this.port}/postgres?host=${encodeURIComponent(this.folder)}`;
  }

  /** Starts the server again, and resolves when it answers. */
  async resume(): Promise<void> {
    const log = join(this.folder, 'log');
    const settings = [
      ...[`port=${this.port}`, `unix_socket_directories=${this.folder}`, 'listen_addresses=127.0.0.1'],
      ...['shared_buffers=16MB', 'max_connections=40'],
    ].flatMap((setting) => ['-c', setting]);
    for (;;) {
      const [command, args] = asServer(program('postgres'), ['-D', this.data, ...settings]);
      const postmaster = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'], cwd: '/' });
      let said = '';
      postmaster.stderr.on('data', (chunk: Buffer) => {
        said += chunk.toString();
        appendFileSync(log, chunk);
      });
      this.#postmaster = postmaster;
      while (isRunning(postmaster)) {
        const answered = await this.query('SELECT 1').catch(() => undefined);
        if (answered !== undefined) return;
        await sleep(50);
      }
      // Processes of the server before may still be ending; until then the next one refuses to start.
      if (!/still in use|already exists|already in use/.test(said)) throw new Error(`the server ended:\n${said}`);
      await sleep(100);
    }
  }

  /** Runs a statement as the first user; rows of text. */
  async query(text: string): Promise<unknown[][]> {
    const where = { host: this.folder, port: this.port, user: 'admin', database: 'postgres' };
    const client = new Client({ ...where, connectionTimeoutMillis: 5000, query_timeout: 30_000 });
    client.on('error', () => {});
    try {
      await client.connect();
      return (await client.query<unknown[]>({ text, rowMode: 'array' })).rows;
    } finally {
      // A goodbye to a server that is starting or ending may never be answered.
      client.connection.stream.destroy();
    }
  }

  /** Ends every process of the server at once, as a loss of power would. */
  async kill(): Promise<void> {
    const postmaster = this.#postmaster;
    if (postmaster?.pid === undefined || !isRunning(postmaster)) return;
    const exited = once(postmaster, 'exit');
    const children = childrenOf(postmaster.pid);
    postmaster.kill('SIGKILL');
    for (const child of children) {
      try {
        process.kill(child, 'SIGKILL');
      } catch {
        // It has ended by itself.
      }
    }
    await exited;
  }

  /** Ends the server in order; sessions are cut off. */
  async stop(): Promise<void> {
    const postmaster = this.#postmaster;
    if (postmaster === undefined || !isRunning(postmaster)) return;
    const exited = once(postmaster, 'exit');
    postmaster.kill('SIGINT');
    await exited;
  }

  async remove(): Promise<void> {
    await this.stop();
    await rm(this.folder, { recursive: true, force: true });
  }

  /**
   * Makes the server want passwords from the network, and TLS of all but the user `plain`. Answers the file of its
   * certificate, which is for `localhost`.
   */
  async secure(): Promise<string> {
    const certificate = join(this.data, 'server.crt');
    await runAsServer('openssl', [
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'],
      ...['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'],
      ...['-keyout', join(this.data, 'server.key'), '-out', certificate],
    ]);
    const network = 'host all plain 127.0.0.1/32 scram-sha-256\nhostssl all all 127.0.0.1/32 scram-sha-256\n';
    await writeFile(join(this.data, 'pg_hba.conf'), `local all all trust\n${network}`);
    await this.query("ALTER SYSTEM SET ssl = 'on'");
    await this.stop();
    await this.resume();
    return certificate;
  }

  /** Everything that the server has said. */
  async log(): Promise<string> {
    return await readFile(join(this.folder, 'log'), 'utf8');
  }
}

const isRoot = process.getuid?.() === 0;

const isRunning = ({ exitCode, signalCode }: ChildProcess): boolean => exitCode === null && signalCode === null;

function program(name: string): string {
  const versions = readdirSync(installed).map(Number).filter(Number.isInteger);
  return join(installed, String(Math.max(...versions)), 'bin', name);
}

/** The server refuses to be root; the kernel ends it in order when this process ends. */
function asServer(command: string, args: readonly string[]): [string, string[]] {
  const user = isRoot ? ['--reuid=postgres', '--regid=postgres', '--clear-groups'] : [];
  return ['setpriv', [...user, '--pdeathsig=INT', '--', command, ...args]];
}

async function runAsServer(command: string, args: readonly string[]): Promise<void> {
  await promisify(execFile)(...asServer(command, args), { cwd: '/' });
}

function childrenOf(parent: number): number[] {
  const children = readFileSync(`/proc/${parent}/task/${parent}/children`, 'utf8');
  return children.split(' ').filter(Boolean).map(Number);
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address !== null ? address.port : 0;
}
