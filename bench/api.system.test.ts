import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import type { Figure } from './api/figures.ts';

test('the bench of the management interface measures everything', { timeout: 120_000 }, async () => {
  const bench = join(import.meta.dirname, 'api.ts');
  const { stdout } = await promisify(execFile)(process.execPath, [bench, '--machines', '60', '--quick', '--json']);
  const results = JSON.parse(stdout) as { readonly machines: number; readonly figures: readonly Figure[] }[];
  assert.deepEqual(
    results.map(({ machines }) => machines),
    [60],
  );
  const figures = results[0]?.figures ?? [];
  for (const name of ['retrieval by view', 'longest stall', 'wake-up', 'memory', 'registration', 'CurrentTime']) {
    assert.ok(
      figures.some((figure) => figure.name.startsWith(name)),
      `there is no figure of ${name}`,
    );
  }
  for (const { name, value } of figures) assert.ok(Number.isFinite(value) && value > 0, `${name} is ${value}`);
});
