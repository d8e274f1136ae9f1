import assert from 'node:assert/strict';
import { test } from 'node:test';
import { untilEscape } from './escape.ts';

test('Ctrl-] leaves, and what was typed before it still goes', () => {
  assert.deepEqual(untilEscape(Buffer.from('ls\r')), { send: Buffer.from('ls\r'), leave: false });
  assert.deepEqual(untilEscape(Buffer.from('ls\x1dmore')), { send: Buffer.from('ls'), leave: true });
  assert.equal(untilEscape(Buffer.from('\x1d')).send.length, 0);
});
