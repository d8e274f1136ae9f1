import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { readProcessStatus } from '../process/process-status.ts';
import { type QmpClient, QmpError } from '../qmp/qmp-client.ts';
import { Engine, type EngineOptions } from './engine.ts';

test('work that must know its end waits as long as the engine lives, and nothing beside it does', async () => {
  const waited: [command: string, timeoutMs: number | undefined][] = [];
  const monitor = {
    execute: async (command: string, _args?: object, options: { readonly timeoutMs?: number } = {}) => {
      waited.push([command, options.timeoutMs]);
    },
    onEvent: () => {},
    onClose: () => {},
    close: () => {},
  } as unknown as QmpClient;
  const options = { identity: { uuid: 'one', pid: process.pid, startTime: '0' }, run: {}, monitor };
  const engine = new Engine(options as unknown as EngineOptions);
  const merged = engine.patiently(async () => {
    await engine.execute('block-commit');
    await new Promise((resolve) => setImmediate(resolve));
    await engine.execute('job-cancel', {}, { timeoutMs: 5 });
    await engine.execute('job-complete');
  });
  await engine.execute('query-status');
  await merged;
  assert.deepEqual(
    new Map(waited),
    new Map<string, number | undefined>([
      ['block-commit', Number.POSITIVE_INFINITY],
      ['query-status', undefined],
      ['job-cancel', 5],
      ['job-complete', Number.POSITIVE_INFINITY],
    ]),
  );
  engine.detach();
});

test('an engine that is being killed is said to be gone when it is, and not to be lost', async (t) => {
  const child = spawn('sleep', ['600']);
  t.after(() => child.kill('SIGKILL'));
  await once(child, 'spawn');
  const { pid = 0 } = child;
  const closed = Promise.withResolvers<void>();
  const monitor = {
    execute: async () => {
      closed.resolve();
      throw new QmpError('closed', 'the connection was closed');
    },
    onEvent: () => {},
    onClose: (listener: () => void) => void closed.promise.then(listener),
    close: () => {},
  };
  const options = {
    identity: { uuid: 'one', pid, startTime: (await readProcessStatus(pid))?.startTime },
    run: { monitor: '/nowhere/monitor' },
    monitor,
    exit: once(child, 'exit').then(([code, signal]) => ({ code, signal })),
  };
  const engine = new Engine(options as unknown as EngineOptions);
  const told = engine.execute('query-status').then(
    () => undefined,
    (error: { readonly code?: string }) => [error.code, engine.isGone],
  );
  // Its monitor is closed before it ends.
  await closed.promise;
  await new Promise((resolve) => setImmediate(resolve));
  child.kill('SIGKILL');
  assert.deepEqual(await told, ['not-running', true]);
});
