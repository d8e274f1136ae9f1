import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import { parseBitmapDirectory, parseBitmapsExtension } from './qcow2-bitmaps.ts';

interface Entry {
  readonly name: string;
  readonly flags: number;
  readonly extra: number;
}

/** A header that has the extension after others of the given lengths. */
function header(others: readonly number[], { version = 3, valid = true, count = 1 } = {}): Buffer {
  const bytes = Buffer.alloc(65_536);
  bytes.writeUInt32BE(0x514649fb, 0);
  bytes.writeUInt32BE(version, 4);
  bytes.writeBigUInt64BE(valid ? 1n : 0n, 88);
  bytes.writeUInt32BE(112, 100);
  let at = 112;
  for (const length of others) {
    bytes.writeUInt32BE(0x6803f857, at);
    bytes.writeUInt32BE(length, at + 4);
    at += 8 + Math.ceil(length / 8) * 8;
  }
  if (count === 0) return bytes;
  bytes.writeUInt32BE(0x23852875, at);
  bytes.writeUInt32BE(24, at + 4);
  bytes.writeUInt32BE(count, at + 8);
  bytes.writeBigUInt64BE(100n, at + 16);
  bytes.writeBigUInt64BE(1n << 20n, at + 24);
  return bytes;
}

function directory(entries: readonly Entry[]): Buffer {
  const parts = entries.map(({ name, flags, extra }) => {
    const text = Buffer.from(name);
    const bytes = Buffer.alloc(Math.ceil((24 + extra + text.length) / 8) * 8);
    bytes.writeUInt32BE(flags, 12);
    bytes.writeUInt16BE(text.length, 18);
    bytes.writeUInt32BE(extra, 20);
    text.copy(bytes, 24 + extra);
    return bytes;
  });
  return Buffer.concat(parts);
}

it('finds the bitmaps behind whatever else a header has', () => {
  const lengths = fc.array(fc.nat(500), { maxLength: 8 });
  fc.assert(
    fc.property(lengths, fc.boolean(), (others, valid) => {
      assert.deepEqual(parseBitmapsExtension(header(others, { valid })), {
        count: 1,
        size: 100,
        offset: 1 << 20,
        valid,
      });
      assert.equal(parseBitmapsExtension(header(others, { count: 0 })), undefined);
    }),
  );
  assert.throws(() => parseBitmapsExtension(Buffer.from('# Disk DescriptorFile')));
});

it('tells each bitmap, and none as right that was in use or that a stranger may have missed writes of', () => {
  const entry = fc.record({ name: fc.string({ minLength: 1 }), flags: fc.nat(7), extra: fc.nat(20) });
  fc.assert(
    fc.property(fc.array(entry), fc.boolean(), (entries, valid) => {
      const found = parseBitmapDirectory(directory(entries), { count: entries.length, size: 0, offset: 0, valid });
      assert.deepEqual(
        found.map(({ name }) => Buffer.from(name)),
        entries.map(({ name }) => Buffer.from(Buffer.from(name).toString())),
      );
      for (const [index, { recording, consistent }] of found.entries()) {
        const { flags } = entries[index] as Entry;
        assert.equal(consistent, valid && (flags & 1) === 0);
        assert.equal(recording, consistent && (flags & 2) === 2);
      }
    }),
  );
});

it('ends with an error, and in time, whatever the bytes are', () => {
  const harmless = (parse: () => unknown) => {
    try {
      parse();
    } catch (error) {
      assert.match((error as Error).message, /^(it is not qcow2|its (header|list of bitmaps) is damaged)$/);
    }
  };
  const bytes = fc.uint8Array({ maxLength: 600 });
  fc.assert(
    fc.property(bytes, fc.nat(1000), fc.nat(), (random, at, count) => {
      const mutated = header([3, 9]);
      mutated.set(random, at);
      harmless(() => parseBitmapsExtension(mutated));
      harmless(() => parseBitmapsExtension(Buffer.from(random)));
      harmless(() => parseBitmapDirectory(Buffer.from(random), { count, size: 0, offset: 0, valid: true }));
    }),
    { numRuns: 300 },
  );
});
