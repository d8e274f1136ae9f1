import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import { JsonLineError, JsonLineParser } from './json-lines.ts';
import { parseQmpMessage } from './qmp-message.ts';

function cut(bytes: Buffer, sizes: readonly number[]): Buffer[] {
  const parts: Buffer[] = [];
  let start = 0;
  for (let index = 0; start < bytes.length; index += 1) {
    const size = sizes[index % Math.max(1, sizes.length)] ?? 1;
    parts.push(bytes.subarray(start, start + size));
    start += size;
  }
  return parts;
}

it('gives back every value, however the bytes were cut', () => {
  fc.assert(
    fc.property(
      fc.array(fc.jsonValue(), { maxLength: 6 }),
      fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 5 }),
      (values, sizes) => {
        const text = values.map((value) => `${JSON.stringify(value)}\r\n`).join('');
        const parser = new JsonLineParser({ maxBytes: 1 << 20 });
        const got = cut(Buffer.from(text), sizes).flatMap((part) => parser.push(part));
        assert.deepEqual(got, JSON.parse(JSON.stringify(values)));
      },
    ),
  );
});

it('throws its own error alone on anything else, and keeps no more than it may', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 64 }), { maxLength: 20 }), fc.boolean(), (chunks, skipSentinel) => {
      const parser = new JsonLineParser({ maxBytes: 100, skipSentinel });
      try {
        for (const chunk of chunks) for (const value of parser.push(Buffer.from(chunk))) parseQmpMessage(value);
      } catch (error) {
        assert.ok(error instanceof JsonLineError);
      }
    }),
  );
  const endless = new JsonLineParser({ maxBytes: 1000 });
  assert.throws(() => {
    for (let index = 0; index < 100; index += 1) endless.push(Buffer.alloc(100, 'x'));
  }, JsonLineError);
});

it('drops what comes before the last 0xFF of a line when asked to', () => {
  const parser = new JsonLineParser({ maxBytes: 1000, skipSentinel: true });
  const bytes = Buffer.concat([Buffer.from('{"half'), Buffer.from([0xff]), Buffer.from('{"return":1}\n')]);
  assert.deepEqual(parser.push(bytes), [{ return: 1 }]);
});

it('reads any JSON value as a message or as none', () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.constantFrom('QMP', 'event', 'error', 'return'), (value, key) => {
      parseQmpMessage(value);
      const message = parseQmpMessage({ [key]: value, data: value, id: 1 });
      if (message?.kind === 'event') assert.equal(typeof message.data, 'object');
    }),
  );
});
