import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { checkVAppValue, parseVAppType } from './vapp-value.ts';

const cases: readonly [type: string, good: readonly string[], bad: readonly string[]][] = [
  ['', ['', 'anything'], ['x'.repeat(65_536)]],
  ['string', ['', 'ü'], []],
  ['string(1..3)', ['a', '𝒳𝒴𝒵'], ['', 'abcd']],
  ['string(2..)', ['ab'], ['a']],
  ['password(..4)', ['', 'abcd'], ['abcde']],
  ['string["small", "a, \\"b\\""]', ['small', 'a, "b"'], ['', 'large']],
  ['int', ['0', '-5', '99999999999999999999'], ['', '1.5', 'one', '0x10']],
  ['int(0..255)', ['0', '255', '+7'], ['-1', '256']],
  ['int(-10..-5)', ['-10', '-5'], ['-4', '']],
  ['int(18446744073709551614..)', ['18446744073709551615'], ['18446744073709551613']],
  ['real', ['1', '.5', '-1e3'], ['', 'NaN', 'Infinity']],
  ['real(-0.5..1.25)', ['-0.5', '1.25'], ['-0.51', '1.26']],
  ['boolean', ['True', 'false'], ['', 'yes', '1']],
  ['ip', ['10.0.0.1', '2001:db8::1'], ['', '10.0.0', 'host']],
  ['ip:VM Network', ['10.0.0.1'], ['dhcp']],
  ['expression', ['', 'anything'], []],
];

test('values are of their type, within its range and among its choices', () => {
  for (const [text, good, bad] of cases) {
    const type = parseVAppType(text);
    assert.ok(type, text);
    for (const value of good) assert.equal(checkVAppValue(type, value), undefined, `${text}: ${value}`);
    for (const value of bad) assert.equal(typeof checkVAppValue(type, value), 'string', `${text}: ${value}`);
  }
});

test('what is no type is told apart', () => {
  for (const text of [
    'text',
    'int(5..1)',
    'string(-1..2)',
    'string[',
    'string["a", 5]',
    'int(1)',
    'boolean()',
    'ipv4',
  ]) {
    assert.equal(parseVAppType(text), undefined, text);
  }
});

test('a reason never shows the value', () => {
  fc.assert(
    fc.property(fc.constantFrom(...cases), fc.string({ minLength: 12, maxLength: 200 }), ([text], value) => {
      const problem = checkVAppValue(parseVAppType(text)!, value);
      assert.ok(problem === undefined || !problem.includes(value));
    }),
  );
});

test('any text is a type or none', () => {
  const pieces = fc.constantFrom(
    'string',
    'int',
    'real',
    'password',
    '(',
    ')',
    '[',
    ']',
    '..',
    '.',
    '1',
    '-',
    '"',
    ' ',
    ',',
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.array(pieces, { maxLength: 60 }).map((all) => all.join('')),
      ),
      (text) => {
        const type = parseVAppType(text);
        if (type !== undefined) checkVAppValue(type, text);
      },
    ),
    { numRuns: 300 },
  );
  const started = process.cpuUsage();
  parseVAppType(`int(${'.'.repeat(60_000)}`);
  parseVAppType(`real(${'1.'.repeat(30_000)}..`);
  // Of the processor, in microseconds: a machine may be busy.
  assert.ok(process.cpuUsage(started).user < 5e6);
});
