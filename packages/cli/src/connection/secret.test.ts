import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { memoryContext, personContext } from '../testing/memory-terminal.ts';
import { readSecret } from './secret.ts';

const source = { whose: 'root at esx2', option: '--host-password-file', file: undefined };

test('a password comes from the first line of a file or of the standard input', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'hypostyle-secret-'));
  try {
    const file = join(folder, 'password');
    await writeFile(file, 'päss word\r\nmore\n');
    assert.equal(await readSecret(memoryContext().context, { ...source, file }), 'päss word');
    await writeFile(file, '\n');
    await assert.rejects(readSecret(memoryContext().context, { ...source, file }), { kind: 'usage' });
  } finally {
    await rm(folder, { recursive: true });
  }
  assert.equal(await readSecret(memoryContext({}, 'secret\nmore').context, { ...source, file: '-' }), 'secret');
  await assert.rejects(readSecret(memoryContext().context, { ...source, file: '/nonexistent' }), {
    message: /root at esx2 cannot be read/,
  });
});

test('a person types it unseen; without a person it is missing', async () => {
  const person = personContext(['secrets\x7f']);
  assert.equal(await readSecret(person.context, source), 'secret');
  assert.deepEqual(person.modes, [true, false]);
  assert.equal(person.asked(), 'Password of root at esx2: \n');
  await assert.rejects(readSecret(memoryContext().context, source), { next: /--host-password-file/ });
});

test('a new password is typed twice the same', async () => {
  assert.equal(await readSecret(personContext(['a', 'a']).context, { ...source, fresh: true }), 'a');
  await assert.rejects(readSecret(personContext(['a', 'b']).context, { ...source, fresh: true }), /differ/);
});

test('Ctrl-C at the question ends it, and the terminal is as it was', async () => {
  const person = personContext(['sec\x03']);
  await assert.rejects(readSecret(person.context, source), /Nothing was done/);
  assert.deepEqual(person.modes, [true, false]);
});
