import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { OvfError } from '../errors.ts';
import { writeIso } from './environment-iso.ts';

const at = new Date('2024-02-29T13:14:15Z');

/** Reads the root of one of an image's two name spaces, as a guest would: by the descriptor, then the directory. */
function readRoot(image: Uint8Array, joliet: boolean): { label: string; files: Map<string, Buffer> } {
  const bytes = Buffer.from(image.buffer, image.byteOffset, image.length);
  const text = (part: Buffer) => (joliet ? Buffer.from(part).swap16().toString('utf16le') : part.toString('latin1'));
  for (let sector = 16; ; sector += 1) {
    const descriptor = bytes.subarray(sector * 2048, (sector + 1) * 2048);
    assert.equal(descriptor.toString('latin1', 1, 6), 'CD001');
    assert.notEqual(descriptor[0], 255, 'the descriptor was not found');
    if (descriptor[0] !== (joliet ? 2 : 1)) continue;
    assert.equal(descriptor.readUInt32LE(80) * 2048, bytes.length);
    for (const [little, big] of [
      [80, 84],
      [158, 162],
      [166, 170],
    ] as const)
      assert.equal(descriptor.readUInt32LE(little), descriptor.readUInt32BE(big));
    const files = new Map<string, Buffer>();
    const start = descriptor.readUInt32LE(158) * 2048;
    const names: Buffer[] = [];
    for (let offset = start; bytes[offset] !== 0; offset += bytes[offset]!) {
      assert.equal(bytes[offset]! % 2, 0);
      assert.ok(offset + bytes[offset]! <= start + descriptor.readUInt32LE(166));
      if ((bytes[offset + 25]! & 2) !== 0) continue;
      const name = bytes.subarray(offset + 33, offset + 33 + bytes[offset + 32]!);
      names.push(name);
      const from = bytes.readUInt32LE(offset + 2) * 2048;
      files.set(text(name), bytes.subarray(from, from + bytes.readUInt32LE(offset + 10)));
    }
    assert.deepEqual(names, [...names].sort(Buffer.compare), 'a directory is in the order of its names');
    return { label: text(descriptor.subarray(40, 72)).trimEnd(), files };
  }
}

test('an environment lies under its own name, and under a short one for readers without Joliet', () => {
  const content = Buffer.from('<Environment/>');
  const image = writeIso([{ name: 'ovf-env.xml', content }], { at });
  assert.equal(image.length % 2048, 0);
  assert.deepEqual(readRoot(image, true), { label: 'OVF ENV', files: new Map([['ovf-env.xml;1', content]]) });
  assert.deepEqual(readRoot(image, false), { label: 'OVF ENV', files: new Map([['OVF_ENV.XML;1', content]]) });
  assert.deepEqual(writeIso([{ name: 'ovf-env.xml', content }], { at }), image, 'the same input makes the same image');
});

test('every file that is taken is read back; what is refused is refused by name', () => {
  const name = fc.string({ minLength: 0, maxLength: 62, unit: 'binary' });
  // Lengths around whole sectors matter, not what is in them.
  const length = fc.oneof(fc.integer({ min: 0, max: 5000 }), fc.constantFrom(0, 1, 2047, 2048, 2049, 4096));
  const content = fc.tuple(length, fc.integer({ min: 1, max: 255 })).map(([bytes, byte]) => Buffer.alloc(bytes, byte));
  const file = fc.record({ name, content });
  fc.assert(
    fc.property(fc.array(file, { maxLength: 10 }), (files) => {
      let image: Uint8Array;
      try {
        image = writeIso(files, { at });
      } catch (error) {
        assert.ok(error instanceof OvfError && error.code === 'image-invalid');
        return;
      }
      const expected = new Map(files.map(({ name, content }) => [`${name};1`, content]));
      const joliet = readRoot(image, true).files;
      assert.equal(joliet.size, expected.size);
      for (const [key, content] of expected) assert.deepEqual(joliet.get(key), content);
      const short = [...readRoot(image, false).files.keys()];
      assert.equal(new Set(short).size, files.length);
      for (const one of short) assert.match(one, /^[A-Z0-9_]{1,8}\.[A-Z0-9_]{0,3};1$/);
    }),
    { numRuns: 100 },
  );
});

test('names that differ only behind what a short name holds stay apart', () => {
  const names = ['environment-one.xml', 'environment-two.xml', 'ENVIRONMENT.xml', 'a.b.c', 'a', '.profile', 'é', 'ö'];
  const image = writeIso(names.map((name) => ({ name, content: Buffer.from(name) })));
  const short = readRoot(image, false).files;
  assert.deepEqual([...short.values()].map(String).sort(), [...names].sort());
});

test('an image is bounded', () => {
  const refused = { name: 'OvfError', code: 'image-invalid' };
  const content = new Uint8Array(1);
  assert.throws(() => writeIso([{ name: 'a', content: new Uint8Array((1 << 20) + 1) }]), refused);
  assert.ok(writeIso([{ name: 'a', content: new Uint8Array(1 << 20) }]).length <= (1 << 20) + 25 * 2048);
  assert.throws(() => writeIso(Array.from({ length: 9 }, (_, index) => ({ name: `f${index}`, content }))), refused);
  const same = { name: 'a', content };
  assert.throws(() => writeIso([same, same]), refused);
  for (const name of ['', '..\\a', 'a/b', 'a;1', 'x'.repeat(61), '\ud800']) {
    assert.throws(() => writeIso([{ name, content }]), refused, name);
  }
  for (const label of ['', 'lower', 'SEVENTEEN LETTERS']) assert.throws(() => writeIso([], { label }), refused);
  assert.throws(() => writeIso([], { at: new Date(Number.NaN) }), refused);
});
