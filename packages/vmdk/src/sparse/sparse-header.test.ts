import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { VmdkError } from '../errors.ts';
import { formatSparseHeader, parseSparseHeader, type SparseHeader } from './sparse-header.ts';

const header: SparseHeader = {
  version: 1,
  flags: 3,
  capacity: 0x0102030405,
  grainSectors: 128,
  descriptorOffset: 1,
  descriptorSectors: 20,
  entriesPerTable: 512,
  redundantDirectoryOffset: 21,
  directoryOffset: 0x1234,
  overheadSectors: 0x2468,
  unclean: false,
  compression: 0,
};

test('the header has every field where the specification says', () => {
  const expected = Buffer.alloc(512);
  const hex =
    '4b444d56' +
    '01000000' +
    '03000000' +
    '0504030201000000' +
    '8000000000000000' +
    '0100000000000000' +
    '1400000000000000' +
    '00020000' +
    '1500000000000000' +
    '3412000000000000' +
    '6824000000000000' +
    '00' +
    '0a200d0a' +
    '0000';
  expected.write(hex, 'hex');
  assert.deepEqual(formatSparseHeader(header), expected);
  assert.deepEqual(parseSparseHeader(expected, 'x'), header);
  const stream = { ...header, flags: 0x30001, compression: 1, directoryOffset: 'at-end', unclean: true } as const;
  const bytes = formatSparseHeader(stream);
  assert.equal(bytes.subarray(56, 64).toString('hex'), 'ffffffffffffffff');
  assert.equal(bytes[72], 1);
  assert.deepEqual(parseSparseHeader(bytes, 'x'), stream);
});

test('a header that went through a text-mode transfer is named as such', () => {
  for (const mangle of [
    (text: string) => text.replaceAll('\n', '\r\n'),
    (text: string) => text.replaceAll('\r\n', '\n'),
  ]) {
    const bytes = Buffer.from(mangle(formatSparseHeader(header).toString('latin1')).padEnd(512, '\0'), 'latin1');
    assert.throws(() => parseSparseHeader(bytes, 'disk.vmdk'), {
      code: 'header-corrupted',
      message: /disk\.vmdk.*text-mode/,
    });
  }
});

test('a header that would size an allocation beyond reason is refused', () => {
  const cases: readonly Partial<SparseHeader>[] = [
    { capacity: 0 },
    { capacity: 2 ** 40 },
    { grainSectors: 100 },
    { grainSectors: 4 },
    { grainSectors: 8192 },
    { entriesPerTable: 0 },
    { entriesPerTable: 513 },
    { capacity: 2 ** 37, entriesPerTable: 1 },
    { version: 4 },
    { compression: 1 },
    { compression: 2, flags: 0x30001 },
    { descriptorSectors: 2 ** 50 },
  ];
  for (const change of cases) {
    const bytes = formatSparseHeader({ ...header, ...change });
    assert.throws(() => parseSparseHeader(bytes, 'x'), { code: 'header-invalid' }, JSON.stringify(change));
  }
});

test('no bytes crash the parser with anything but its own error', () => {
  const mutated = fc.array(fc.tuple(fc.nat(79), fc.nat(255)), { maxLength: 6 }).map((changes) => {
    const bytes = formatSparseHeader(header);
    for (const [at, value] of changes) bytes[at] = value;
    return bytes;
  });
  const random = fc.uint8Array({ maxLength: 600 }).map((bytes) => Buffer.from(bytes));
  fc.assert(
    fc.property(fc.oneof(mutated, random), (bytes) => {
      try {
        const parsed = parseSparseHeader(bytes, 'x');
        assert.deepEqual(parseSparseHeader(formatSparseHeader(parsed), 'x'), parsed);
      } catch (error) {
        assert.ok(error instanceof VmdkError, String(error));
      }
    }),
    { numRuns: 500 },
  );
});
