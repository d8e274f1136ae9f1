import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';

interface Result {
  readonly name: string;
  readonly against: string;
  readonly ratio: number;
  readonly storedBytes: readonly [number, number];
  readonly peakMebibytes: readonly [number, number];
  readonly longestMilliseconds: number;
}

test('the bench of disks compares every way with the tools of today, and ours stay small', {
  timeout: 180_000,
}, async (t) => {
  const bench = join(import.meta.dirname, 'disk.ts');
  const { stdout } = await promisify(execFile)(process.execPath, [bench, '--size', '64', '--rounds', '1', '--json']);
  const { results } = JSON.parse(stdout) as { readonly results: readonly Result[] };
  assert.equal(results.length, 13);
  for (const { name, against, ratio, storedBytes, peakMebibytes, longestMilliseconds } of results) {
    t.diagnostic(`${name}, against ${against}: ${ratio.toFixed(2)}`);
    assert.ok(ratio > 0);
    assert.ok(peakMebibytes[0] > 0 && peakMebibytes[0] < 300, `${name} takes ${peakMebibytes[0]} MiB`);
    assert.ok(longestMilliseconds < 60, `${name} holds the event loop for ${longestMilliseconds} ms`);
    if (name === 'write streamOptimized') assert.ok(storedBytes[0] <= storedBytes[1] * 1.02, storedBytes.join());
  }
});
