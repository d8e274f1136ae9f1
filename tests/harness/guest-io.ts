import { once } from 'node:events';
import { createConnection } from 'node:net';
import { createInterface } from 'node:readline';
import type { Engine } from './engines.ts';

/**
 * Does on a machine's first disk what its guest would do, by qemu-io(1) at the guest's device: a guest without an
 * operating system writes as well. By the engine's second monitor, which the daemon leaves free.
 */
export async function guestIo(engine: Engine, commands: readonly string[]): Promise<void> {
  const chardev = engine.arguments.find((argument) => argument.includes('/rescue-'));
  const path = chardev && /(?:path=|unix:)([^,]+)/.exec(chardev)?.[1];
  if (!path) throw new Error('the engine has no second monitor');
  const socket = createConnection(path);
  const lines = createInterface({ input: socket });
  const waiting: PromiseWithResolvers<unknown>[] = [];
  const failed = (error: Error) => {
    for (const one of waiting.splice(0)) one.reject(error);
  };
  socket.on('error', failed).on('close', () => failed(new Error('the engine has closed its monitor')));
  // It passes on what the socket says.
  lines.on('error', failed);
  lines.on('line', (line) => {
    const message = JSON.parse(line) as { return?: unknown; error?: { desc: string } };
    if (message.error !== undefined) waiting.shift()?.reject(new Error(message.error.desc));
    else if ('return' in message) waiting.shift()?.resolve(message.return);
  });
  const execute = (command: string, args: object = {}): Promise<unknown> => {
    const answer = Promise.withResolvers<unknown>();
    waiting.push(answer);
    socket.write(`${JSON.stringify({ execute: command, arguments: args })}\n`);
    return answer.promise;
  };
  try {
    await execute('qmp_capabilities');
    const devices = (await execute('query-block')) as { qdev?: string }[];
    const device = devices.find(({ qdev }) => qdev !== undefined && /(^|\/)disk-/.test(qdev))?.qdev;
    if (device === undefined) throw new Error('the machine has no disk');
    for (const command of commands) {
      const line = `qemu-io -d ${device} "${command}"`;
      const said = String(await execute('human-monitor-command', { 'command-line': line }));
      if (/error|fail|invalid|unknown/i.test(said)) throw new Error(`${command}: ${said}`);
    }
  } finally {
    socket.destroy();
    if (!socket.closed) await once(socket, 'close');
  }
}
