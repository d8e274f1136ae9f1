import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { PostgresServer } from './postgres-server.ts';

/** A way to a PostgreSQL server that can be blocked in one direction or both, and cut. */
export class SeverableProxy {
  readonly #server: PostgresServer;
  readonly #folder: string;
  readonly #listener: Server;
  readonly #pairs = new Set<readonly [Socket, Socket]>();
  /** What is held back is never delivered. */
  holdsRequests = false;
  holdsAnswers = false;
  /** New connections end at once. */
  refuses = false;

  static async start(server: PostgresServer): Promise<SeverableProxy> {
    const folder = await mkdtemp(join(tmpdir(), 'proxy-'));
    const proxy = new SeverableProxy(server, folder);
    proxy.#listener.listen(join(folder, `.s.PGSQL.${server.port}`));
    await once(proxy.#listener, 'listening');
    return proxy;
  }

  private constructor(server: PostgresServer, folder: string) {
    this.#server = server;
    this.#folder = folder;
    this.#listener = createServer((client) => this.#join(client));
  }

  get url(): string {
    return `postgres://admin@localhost:${this.#server.port}/postgres?host=${encodeURIComponent(this.#folder)}`;
  }

  /** Ends the client's side of every connection; the server's side stays open and silent. */
  cutClients(): void {
    for (const [client] of this.#pairs) client.destroy();
  }

  restore(): void {
    this.holdsRequests = false;
    this.holdsAnswers = false;
    this.refuses = false;
  }

  async close(): Promise<void> {
    this.#listener.close();
    for (const pair of this.#pairs) for (const socket of pair) socket.destroy();
    await once(this.#listener, 'close');
    await rm(this.#folder, { recursive: true, force: true });
  }

  #join(client: Socket): void {
    if (this.refuses) {
      client.destroy();
      return;
    }
    const upstream = createConnection(join(this.#server.folder, `.s.PGSQL.${this.#server.port}`));
    const pair = [client, upstream] as const;
    this.#pairs.add(pair);
    client.on('data', (chunk) => this.holdsRequests || upstream.write(chunk));
    upstream.on('data', (chunk) => this.holdsAnswers || client.write(chunk));
    client.on('end', () => upstream.end());
    for (const socket of pair) socket.on('error', () => {});
    upstream.on('close', () => {
      client.destroy();
      this.#pairs.delete(pair);
    });
  }
}
