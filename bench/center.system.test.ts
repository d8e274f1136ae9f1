import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import type { Figure } from './api/figures.ts';

test('the bench of the center measures everything, and says that its hosts are modelled', {
  timeout: 180_000,
}, async () => {
  const bench = join(import.meta.dirname, 'center.ts');
  const size = ['--machines', '60', '--hosts', '3'];
  const { stdout } = await promisify(execFile)(process.execPath, [bench, ...size, '--quick', '--json']);
  const { modelled, machines, figures } = JSON.parse(stdout) as {
    readonly modelled: boolean;
    readonly machines: number;
    readonly figures: readonly Figure[];
  };
  assert.deepEqual([modelled, machines], [true, 60]);
  for (const name of [
    'hosts join',
    'all connected after',
    'name of all',
    'first round',
    'wake-up',
    'memory',
    'longest',
  ]) {
    assert.ok(
      figures.some((figure) => figure.name.startsWith(name)),
      `there is no figure of ${name}`,
    );
  }
  for (const { name, value } of figures) assert.ok(Number.isFinite(value) && value > 0, `${name} is ${value}`);
});
