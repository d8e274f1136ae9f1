import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';

interface Figure {
  readonly name: string;
  readonly ours: { readonly median: number };
  readonly theirs: { readonly median: number };
  readonly ratio: { readonly median: number };
}

test('the bench of machines measures ours and plain QEMU in pairs', { timeout: 180_000 }, async (t) => {
  const bench = join(import.meta.dirname, 'machines.ts');
  const { stdout } = await promisify(execFile)(process.execPath, [bench, '--rounds', '1', '--json']);
  const { figures } = JSON.parse(stdout) as { readonly figures: readonly Figure[] };
  assert.deepEqual(
    figures.map(({ name }) => name.split(/[,:]| to /)[0]),
    [
      'power-on',
      'power-on',
      'snapshot without memory',
      'revert',
      'snapshot without memory',
      'revert',
      'snapshot with memory',
      'revert',
    ],
  );
  for (const { name, ours, theirs, ratio } of figures) {
    t.diagnostic(`${name}: ${ratio.median.toFixed(2)}`);
    assert.ok(ours.median > 0 && theirs.median > 0 && ratio.median > 0);
  }
});
