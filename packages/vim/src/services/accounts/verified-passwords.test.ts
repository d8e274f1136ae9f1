import assert from 'node:assert/strict';
import { test } from 'node:test';
import { VerifiedPasswords } from './verified-passwords.ts';

const hash = (salt: string) => ({ cost: 2, salt, hash: 'x' });

test('a password that was right is known for a minute, for its own hash alone', () => {
  let now = 0;
  const verified = new VerifiedPasswords(() => now);
  const one = hash('one');
  assert.equal(verified.knows(one, 'right'), false);
  verified.remember(one, 'right');
  assert.equal(verified.knows(one, 'right'), true);
  assert.equal(verified.knows(one, 'wrong'), false);
  assert.equal(verified.knows(hash('one'), 'right'), false, 'a changed account has another hash');
  now = 60_000;
  assert.equal(verified.knows(one, 'right'), false);
});

test('it remembers so many, and lets the oldest go', () => {
  const verified = new VerifiedPasswords(() => 0);
  const hashes = Array.from({ length: 1_001 }, (_, index) => hash(`${index}`));
  for (const each of hashes) verified.remember(each, 'right');
  assert.equal(verified.knows(hashes[0]!, 'right'), false);
  assert.equal(verified.knows(hashes[1]!, 'right'), true);
  assert.equal(verified.knows(hashes[1_000]!, 'right'), true);
});
