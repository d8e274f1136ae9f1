import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { temporaryFolder } from '../testing.ts';
import { listNbdExports } from './open-nbd-disk.ts';

/** Starts an NBD server of somebody else on a socket; waits until it answers, and ends it after the test. */
export async function foreignServer(
  test: TestContext,
  socketPath: string,
  command: string,
  args: readonly string[],
): Promise<ChildProcess> {
  const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  const exited = once(child, 'exit');
  test.after(async () => {
    child.kill('SIGTERM');
    await exited;
  });
  for (;;) {
    if (child.exitCode !== null) throw new Error(`${command} ended: ${said}`);
    try {
      await listNbdExports({ socketPath });
      return child;
    } catch (error) {
      if ((error as { code?: string }).code !== 'nbd-unreachable') return child;
    }
    await sleep(20);
  }
}

/** A server that does what the function does with each connection. Its socket's path. */
export async function scriptedServer(test: TestContext, serve: (socket: Socket) => void): Promise<string> {
  const socketPath = join(await temporaryFolder(test), 'nbd');
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
    serve(socket);
  });
  server.listen(socketPath);
  await once(server, 'listening');
  test.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return socketPath;
}
