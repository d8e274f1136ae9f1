import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';

test('the bench of the stores measures both', { timeout: 120_000 }, async () => {
  const bench = join(import.meta.dirname, 'store.ts');
  const args = [bench, '--seconds', '0.1', '--documents', '200', '--json'];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  const figures = JSON.parse(stdout) as { readonly name: string; readonly sqlite: number; readonly postgres: number }[];
  assert.equal(figures.length, 7);
  for (const { name, sqlite, postgres } of figures)
    assert.ok(sqlite > 0 && postgres > 0, `${name}: ${sqlite}, ${postgres}`);
});
