import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';

interface Figure {
  readonly name: string;
  readonly ours: { readonly median: number };
  readonly theirs: { readonly median: number };
}

test('the bench of moves measures ours and a plain mirror in pairs, and the stall of both guests', {
  timeout: 180_000,
}, async () => {
  const bench = join(import.meta.dirname, 'moves.ts');
  const options = ['--rounds', '1', '--stored', '4', '--json'];
  const { stdout } = await promisify(execFile)(process.execPath, [bench, ...options]);
  const { figures, storedMiB } = JSON.parse(stdout) as {
    readonly figures: readonly Figure[];
    readonly storedMiB: number;
  };
  assert.equal(storedMiB, 4);
  assert.deepEqual(
    figures.map(({ name }) => name),
    ['move of a running machine', "the guest's worst stall"],
  );
  for (const { ours, theirs } of figures) assert.ok(ours.median > 0 && theirs.median > 0);
});
