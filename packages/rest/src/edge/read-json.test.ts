import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { AutomationError } from '../errors.ts';
import { bodyLimit, readJson } from './read-json.ts';

test('a body without an announced length is read to its limit, no further', async () => {
  let sent = 0;
  async function* endless() {
    for (;;) {
      sent += 65_536;
      yield Buffer.alloc(65_536, ' ');
    }
  }
  await assert.rejects(readJson({ headers: {}, body: endless() }), { error: 'invalid_request' });
  assert.ok(sent <= bodyLimit + 65_536);
});

test('brackets in strings are no depth; a deep body is refused', async () => {
  const read = (text: string) => readJson({ headers: {}, body: Buffer.from(text) });
  assert.equal(await read(JSON.stringify('['.repeat(1_000))), '['.repeat(1_000));
  assert.deepEqual(await read(JSON.stringify({ a: '\\"[[' })), { a: '\\"[[' });
  await assert.rejects(read('['.repeat(33) + ']'.repeat(33)), { error: 'invalid_request' });
});

test('any bytes are JSON or a typed refusal', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(
        fc.uint8Array(),
        fc.json().map((text) => Buffer.from(text)),
      ),
      async (body) => {
        await readJson({ headers: {}, body }).catch((error: unknown) => assert.ok(error instanceof AutomationError));
      },
    ),
  );
});
