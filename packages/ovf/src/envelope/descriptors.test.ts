import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  formatEnvelope,
  OvfError,
  parseEnvelope,
  resolveHardware,
  resolveProperties,
  virtualSystems,
} from '../index.ts';

const folder = new URL('../../fixtures/descriptors/', import.meta.url);
const names = readdirSync(folder);
const read = (name: string) => readFileSync(new URL(name, folder));

/** A value without what depends on where it was read, and with objects that have the same prototype. */
function comparable(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(comparable);
  if (typeof value !== 'object' || value === null) return value;
  const kept = Object.entries(value).filter(([key]) => key !== 'line' && key !== 'warnings' && key !== 'version');
  return Object.fromEntries(kept.map(([key, entry]) => [key, comparable(entry)]));
}

for (const name of names) {
  if (name.includes('__Neg__')) {
    test(`refuses ${name}`, () => {
      assert.throws(
        () => parseEnvelope(read(name), { fileName: name }),
        (error) => {
          assert.ok(error instanceof OvfError);
          assert.ok(error.message.startsWith(name));
          return true;
        },
      );
    });
  } else {
    test(`reads ${name} and writes it back`, () => {
      const envelope = parseEnvelope(read(name));
      resolveProperties(envelope, [], { allowMissing: true });
      assert.deepEqual(comparable(parseEnvelope(formatEnvelope(envelope))), comparable(envelope));
    });
  }
}

test('no mutation of a descriptor does more than throw an OvfError', () => {
  const sources = names.map(read);
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
        try {
          const envelope = parseEnvelope(bytes);
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
    }),
  );
});
