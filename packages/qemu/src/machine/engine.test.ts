import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { QmpClient } from '../qmp/qmp-client.ts';
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
