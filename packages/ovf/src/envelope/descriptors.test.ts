import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  formatEnvelope,
  formatIssue,
  OvfError,
  parseEnvelope,
  resolveHardware,
  resolveProperties,
  validateEnvelope,
  virtualSystems,
} from '../index.ts';
import { descriptorNames, readDescriptor, verdictOf } from '../testing/descriptors.ts';
import { lossOf } from '../testing/xml-loss.ts';
import { parseXml } from '../xml/xml-reader.ts';

/** A value without what depends on where it was read, and with objects that have the same prototype. */
function comparable(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(comparable);
  if (typeof value !== 'object' || value === null) return value;
  const kept = Object.entries(value).filter(([key]) => key !== 'line' && key !== 'warnings' && key !== 'version');
  return Object.fromEntries(kept.map(([key, entry]) => [key, comparable(entry)]));
}

/** A licence of the envelope becomes its content's; of two DiskSections that are read as one the first Info stays. */
const moved = /^\/Envelope\/(EulaSection|DiskSection\/Info=)/;

for (const name of descriptorNames) {
  const { verdict, reason } = verdictOf(name);
  test(`${name} is ${verdict}${reason === undefined ? '' : ` (${reason})`}`, () => {
    const source = readDescriptor(name);
    const strict = validateEnvelope(source, { mode: 'strict', fileName: name });
    const lax = validateEnvelope(source, { mode: 'lax', fileName: name });
    const said = [...strict.issues, ...lax.issues].map(formatIssue).join('\n');
    if (verdict !== 'readable') assert.equal(strict.valid, verdict === 'valid', said);
    assert.equal(lax.valid, verdict !== 'invalid', said);
    if (strict.valid) assert.ok(lax.valid);
    for (const issue of [...strict.issues, ...lax.issues]) {
      assert.match(formatIssue(issue), /^.+, line \d+(, \w+)?: (error|warning): .+ \(.+\)$/);
    }
    if (!lax.valid) {
      assert.throws(
        () => parseEnvelope(source, { fileName: name }),
        (error) => error instanceof OvfError && error.message.startsWith(name),
      );
      return;
    }
    const envelope = parseEnvelope(source);
    assert.deepEqual(comparable(lax.envelope), comparable(envelope));
    resolveProperties(envelope, [], { allowMissing: true });
    const written = formatEnvelope(envelope);
    assert.deepEqual(comparable(parseEnvelope(written)), comparable(envelope));
    const lost = lossOf(parseXml(source), parseXml(written));
    assert.deepEqual(
      lost.filter((fact) => !moved.test(fact)),
      [],
    );
    assert.equal(validateEnvelope(written, { mode: 'lax' }).valid, true);
    if (strict.valid && envelope.version !== '0.9') assert.equal(validateEnvelope(envelope).valid, true);
  });
}

test('no mutation of a descriptor does more than throw an OvfError', () => {
  const sources = descriptorNames.map(readDescriptor).filter(({ length }) => length < 40_000);
  fc.assert(
    fc.property(
      fc.nat(sources.length - 1),
      fc.array(fc.tuple(fc.nat(), fc.constantFrom('flip', 'cut', 'repeat'), fc.nat(255)), {
        minLength: 1,
        maxLength: 6,
      }),
      (index, mutations) => {
        let bytes = Buffer.from(sources[index]!);
        for (const [at, kind, value] of mutations) {
          const place = at % Math.max(bytes.length, 1);
          if (kind === 'flip') bytes[place] = value;
          else if (kind === 'cut') bytes = Buffer.concat([bytes.subarray(0, place), bytes.subarray(place + value)]);
          else bytes = Buffer.concat([bytes.subarray(0, place), bytes.subarray(Math.max(0, place - value))]);
        }
        const report = validateEnvelope(bytes, { mode: 'lax' });
        try {
          const envelope = parseEnvelope(bytes);
          assert.ok(report.valid);
          for (const system of virtualSystems(envelope)) resolveHardware(envelope, system);
          formatEnvelope(envelope);
        } catch (error) {
          assert.ok(error instanceof OvfError, String(error));
        }
      },
    ),
    { numRuns: 300 },
  );
});

test('random bytes do no more than throw an OvfError', () => {
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 300 }), fc.string({ maxLength: 300 })), (source) => {
      assert.throws(() => parseEnvelope(source), OvfError);
      assert.equal(validateEnvelope(source).valid, false);
    }),
  );
});
