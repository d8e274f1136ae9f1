import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { VmdkError } from '../errors.ts';
import { descriptorBytes, formatDescriptor, noParent, parseDescriptor } from './descriptor.ts';
import { buildDescriptor, editDescriptor } from './descriptor-edit.ts';
import { decodeDescriptor, encodeDescriptor } from './descriptor-encoding.ts';

const fromEsxi = `# Disk DescriptorFile
version=1
encoding="UTF-8"
CID=0123abcd
parentCID=ffffffff
isNativeSnapshot="no"
createType="vmfs"
someDay = "unknown"

# Extent description
RW 33554432 VMFS "web server-flat.vmdk"

# The Disk Data Base 
#DDB

ddb.adapterType = "lsilogic"
ddb.geometry.cylinders = "2088"
ddb.longContentID = "00112233445566778899aabb0123abcd"
ddb.vendorThing = "kept"
ddb.virtualHWVersion = "13"
`;

test('every field of an ESXi descriptor is read, and it comes back byte for byte', () => {
  const descriptor = parseDescriptor(fromEsxi);
  assert.equal(descriptor.contentId, 0x0123abcd);
  assert.equal(descriptor.parentContentId, noParent);
  assert.equal(descriptor.createType, 'vmfs');
  assert.equal(descriptor.isNativeSnapshot, false);
  assert.deepEqual(descriptor.extents, [
    { access: 'RW', sectors: 33554432, type: 'VMFS', file: 'web server-flat.vmdk' },
  ]);
  assert.equal(descriptorBytes(descriptor), 16 * 2 ** 30);
  assert.equal(descriptor.ddb.get('vendorThing'), 'kept');
  assert.equal(formatDescriptor(descriptor), fromEsxi);
});

test('an edit changes its own lines only, in a file with Windows line ends too', () => {
  for (const ending of ['\n', '\r\n']) {
    const before = fromEsxi.replaceAll('\n', ending);
    const edited = editDescriptor(parseDescriptor(before), {
      contentId: 0xfeed,
      parentFileNameHint: 'base.vmdk',
      ddb: { thinProvisioned: '1', vendorThing: undefined },
      extents: [
        { access: 'RDONLY', sectors: 8, type: 'FLAT', file: 'a', offset: 2 },
        { access: 'RW', sectors: 1, type: 'ZERO' },
      ],
    });
    const after = before
      .replace('CID=0123abcd', 'CID=0000feed')
      .replace(`someDay = "unknown"`, `someDay = "unknown"${ending}parentFileNameHint="base.vmdk"`)
      .replace('RW 33554432 VMFS "web server-flat.vmdk"', `RDONLY 8 FLAT "a" 2${ending}RW 1 ZERO`)
      .replace(`ddb.vendorThing = "kept"${ending}`, '')
      .replace('HWVersion = "13"', `HWVersion = "13"${ending}ddb.thinProvisioned = "1"`);
    assert.equal(formatDescriptor(edited), after);
  }
});

test('a broken descriptor is refused with the line and the reason', () => {
  const cases: readonly [from: string, to: string, message: RegExp][] = [
    ['# Disk', '# Risk', /line 1.*does not begin/],
    ['CID=0123abcd', 'CID=0123abcdef', /line 4.*CID is not/],
    ['version=1', 'version=4', /version 4/],
    ['someDay', 'CID=1\nsomeDay', /CID is there twice/],
    ['createType="vmfs"\n', '', /createType is missing/],
    ['33554432', '0', /line 11.*"0" sectors/],
    ['33554432', '99999999999999', /sectors/],
    ['"web server-flat.vmdk"', '', /names no file/],
    [' VMFS ', ' ', /no type/],
  ];
  for (const [from, to, message] of cases) {
    assert.throws(() => parseDescriptor(fromEsxi.replace(from, to), { file: 'x.vmdk' }), {
      name: 'VmdkError',
      message,
    });
  }
  assert.throws(() => parseDescriptor(`# Disk DescriptorFile\n${'x'.repeat(2 ** 20)}`), {
    code: 'descriptor-too-large',
  });
});

test('a value that would add lines to a descriptor is refused', () => {
  const fields = { createType: 'vmfs', contentId: 1, extents: [] };
  for (const ddb of [{ a: '"\nRW 1 FLAT "/etc/passwd' }, { a: 'x\ny' }]) {
    assert.throws(() => buildDescriptor({ ...fields, ddb }), { code: 'descriptor-invalid' });
  }
  const extents = [{ access: 'RW', sectors: 1, type: 'FLAT', file: 'a"\nb' }] as const;
  assert.throws(() => buildDescriptor({ ...fields, extents }), { code: 'descriptor-invalid' });
});

test('a file name in windows-1252 survives reading and writing', () => {
  const text = fromEsxi.replace('UTF-8', 'windows-1252').replace('web server', 'B€rö');
  const bytes = Buffer.from(text.replace('€', '\x80'), 'latin1');
  const descriptor = parseDescriptor(decodeDescriptor(bytes, 'x'));
  assert.equal(descriptor.extents[0]?.file, 'B€rö-flat.vmdk');
  assert.deepEqual(encodeDescriptor(descriptor), bytes);
  const foreign = editDescriptor(descriptor, { ddb: { note: '日本' } });
  assert.throws(() => encodeDescriptor(foreign), { code: 'unsupported-encoding' });
});

test('what is built is parsed to the same fields', () => {
  const word = fc.stringMatching(/^[a-zA-Z0-9 ._-]{1,20}$/).map((text) => `f${text}f`);
  const extent = fc.record(
    {
      access: fc.constantFrom('RW' as const, 'RDONLY' as const, 'NOACCESS' as const),
      sectors: fc.integer({ min: 1, max: 2 ** 31 }),
      type: fc.constantFrom('FLAT', 'VMFS', 'SPARSE', 'HYPOSTYLEQCOW2'),
      file: word,
      offset: fc.integer({ min: 0, max: 2 ** 31 }),
    },
    { noNullPrototype: true },
  );
  fc.assert(
    fc.property(
      fc.array(extent, { maxLength: 5 }),
      fc.integer({ min: 0, max: noParent }),
      word,
      (extents, id, hint) => {
        const descriptor = buildDescriptor({
          createType: 'custom',
          contentId: id,
          parentContentId: id,
          parentFileNameHint: hint,
          extents,
          ddb: { one: hint },
        });
        assert.deepEqual(descriptor.extents, extents);
        assert.equal(descriptor.contentId, id);
        assert.equal(descriptor.parentFileNameHint, hint);
        assert.equal(descriptor.ddb.get('one'), hint);
      },
    ),
  );
});

test('no text crashes the parser with anything but its own error', () => {
  const mutated = fc
    .tuple(fc.nat(fromEsxi.length), fc.nat(30), fc.string({ unit: 'binary', maxLength: 30 }))
    .map(([at, cut, text]) => fromEsxi.slice(0, at) + text + fromEsxi.slice(at + cut));
  fc.assert(
    fc.property(fc.oneof(mutated, fc.string({ unit: 'binary' })), (text) => {
      try {
        const descriptor = parseDescriptor(decodeDescriptor(Buffer.from(text), 'x'));
        encodeDescriptor(editDescriptor(descriptor, { contentId: 1, ddb: { a: 'b' } }));
      } catch (error) {
        assert.ok(error instanceof VmdkError, String(error));
      }
    }),
    { numRuns: 500 },
  );
});

test('a hostile megabyte is parsed in no time', () => {
  for (const line of [
    `${' '.repeat(2 ** 19)}=`,
    'RW 1 FLAT "'.padEnd(2 ** 19, ' "'),
    'a'.repeat(2 ** 19),
    'CID=\n'.repeat(1e5),
  ]) {
    const start = process.cpuUsage();
    assert.throws(() => parseDescriptor(`# Disk DescriptorFile\n${line}`), VmdkError);
    // Of the processor, in microseconds. What looks at each again for each would take minutes.
    assert.ok(process.cpuUsage(start).user < 5e6);
  }
});
