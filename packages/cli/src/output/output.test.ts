import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatBytes, formatDuration } from './format.ts';
import { formatTable, printable } from './table.ts';

test('columns of a table stand under their heads', () => {
  const table = formatTable(
    ['NAME', 'STATE'],
    [
      ['web', 'poweredOn'],
      ['a-longer-name', 'poweredOff'],
    ],
  );
  assert.equal(table, 'NAME           STATE\nweb            poweredOn\na-longer-name  poweredOff');
});

test('a table of nothing is its heads', () => {
  assert.equal(formatTable(['NAME', 'STATE'], []), 'NAME  STATE');
});

test('what a guest names itself cannot command the terminal', () => {
  fc.assert(fc.property(fc.string(), (text) => !/[\x00-\x1f\x7f-\x9f]/.test(printable(text))));
  assert.equal(printable('a\x1b[2Jb\nc'), 'a [2Jb c');
});

test('sizes and times are short', () => {
  assert.equal(formatBytes(0), '0 B');
  assert.equal(formatBytes(1536), '1.5 KiB');
  assert.equal(formatBytes(256 * 2 ** 20), '256 MiB');
  assert.equal(formatBytes(2 ** 60), '1024 PiB');
  assert.equal(formatDuration(0), '0s');
  assert.equal(formatDuration(61_000), '1m 1s');
  assert.equal(formatDuration(3_600_000), '1h');
  assert.equal(formatDuration(90_061_000), '1d 1h');
});
