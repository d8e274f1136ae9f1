import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';

test('the bench of clones measures ours and what people use in pairs', { timeout: 180_000 }, async () => {
  const bench = join(import.meta.dirname, 'clones.ts');
  const options = ['--rounds', '1', '--many', '0', '--mebibytes', '8', '--json'];
  const { stdout } = await promisify(execFile)(process.execPath, [bench, ...options]);
  const { figures, bytes } = JSON.parse(stdout) as {
    readonly figures: readonly { readonly name: string; readonly ratio: { readonly median: number } }[];
    readonly bytes: Readonly<Record<string, number>>;
  };
  assert.deepEqual(
    figures.map(({ name }) => name),
    ['25 linked clones, beside 25 images', '25 linked clones, beyond their bytes', 'a whole clone, beside cp --sparse'],
  );
  assert.ok(figures.every(({ ratio }) => ratio.median > 0));
  const alone = bytes['25 folders of the same bytes'] ?? 0;
  assert.ok(alone > 25 * 4096, `${alone} bytes are those of 25 machines`);
  assert.ok((bytes['25 linked clones'] ?? Number.POSITIVE_INFINITY) < 25 * 200_000);
});
