import { once } from 'node:events';
import { createConnection } from 'node:net';
import { createInterface } from 'node:readline';
import type { Engine } from './engines.ts';

/** The second monitor of an engine, which the daemon leaves free. */
export interface EngineMonitor {
  /** Does a command of QMP; its answer, or an error with what the engine says. */
  execute(command: string, parameters?: object): Promise<unknown>;
  close(): Promise<void>;
}

export async function monitorOf(engine: Engine): Promise<EngineMonitor> {
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
  const execute = (command: string, parameters: object = {}): Promise<unknown> => {
    const answer = Promise.withResolvers<unknown>();
    waiting.push(answer);
    socket.write(`${JSON.stringify({ execute: command, arguments: parameters })}\n`);
    return answer.promise;
  };
  const close = async () => {
    socket.destroy();
    if (!socket.closed) await once(socket, 'close');
  };
  try {
    await execute('qmp_capabilities');
  } catch (error) {
    await close();
    throw error;
  }
  return { execute, close };
}
