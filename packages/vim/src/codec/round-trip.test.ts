import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { loadSchema, type Method } from '../schema/schema.ts';
import { apiVersion, newestVersion, rankOf } from './api-version.ts';
import { ChunkedText } from './chunked-text.ts';
import { JsonDecoder, parseJson } from './json-decoder.ts';
import { JsonEncoder } from './json-encoder.ts';
import { SoapEncoder } from './soap-encoder.ts';
import { envelopeEnd, envelopeStart } from './soap-envelope.ts';
import { SoapRequestReader } from './soap-request.ts';
import { dataValue, type SchemaArbitraryOptions } from './testing/schema-arbitrary.ts';
import { VersionPlans } from './type-plan.ts';
import { ValueFrames } from './value-frames.ts';
import { WireTypes } from './wire-types.ts';

const types = new WireTypes(loadSchema());
const names = [...types.schema.names()].filter((name) => rankOf(types.schema.data(name)?.since ?? 'none') < 1e9);
const children = new Map<string, string[]>();
for (const name of names) {
  const base = types.schema.data(name)?.base;
  if (base !== undefined) children.set(base, [...(children.get(base) ?? []), name]);
}

function subtypes(base: string): readonly string[] {
  if (base === 'DynamicData') return ['Description'];
  return [base, ...(children.get(base) ?? []).flatMap(subtypes)];
}
const options: SchemaArbitraryOptions = { depth: 2, subtypes };
const anyData = fc.constantFrom(...names).chain((name) => dataValue(types, name, options));

/** A method that takes what is to be sent to and fro. */
const echo: Method = {
  name: 'Echo',
  owner: 'ManagedObject',
  parameters: [
    { name: 'value', type: { name: 'anyType', array: false }, optional: false, secret: false, since: '2.0' },
  ],
  returns: undefined,
  returnsOptional: true,
  taskResult: undefined,
  privilege: undefined,
  faults: [],
  since: '2.0',
};
const self = '<_this type="ServiceInstance">ServiceInstance</_this>';

function soapThereAndBack(value: unknown, pieces: number): unknown {
  const encoder = new SoapEncoder(new VersionPlans(types, newestVersion));
  const element = encoder.elements('value', { name: 'anyType', array: false }, value);
  const envelope = `${envelopeStart}<Echo xmlns="urn:vim25">${self}${element}</Echo>${envelopeEnd}`;
  const reader = new SoapRequestReader(new ValueFrames(types, { lenient: false }), () => echo);
  const size = Math.ceil(envelope.length / pieces);
  for (let at = 0; at < envelope.length; at += size) reader.write(envelope.slice(at, at + size));
  return reader.end().args.value;
}

test('every value of the schema goes through SOAP and back unchanged, in any pieces', () => {
  fc.assert(
    fc.property(anyData, fc.integer({ min: 1, max: 50 }), (value, pieces) => {
      assert.deepEqual(soapThereAndBack(value, pieces), value);
    }),
    { numRuns: 100 },
  );
});

test('every value of the schema goes through VI/JSON and back unchanged', () => {
  const encoder = new JsonEncoder(new VersionPlans(types, newestVersion));
  const decoder = new JsonDecoder(types, { lenient: false });
  const any = { name: 'anyType', array: false };
  fc.assert(
    fc.property(anyData, (value) => {
      assert.deepEqual(decoder.decode(any, parseJson(encoder.value(any, value))), value);
    }),
    { numRuns: 100 },
  );
});

test('a streamed answer is the same text as one made at once', () => {
  const soap = new SoapEncoder(new VersionPlans(types, newestVersion));
  const json = new JsonEncoder(new VersionPlans(types, newestVersion));
  const type = { name: 'UpdateSet', array: false };
  const collect = (steps: (output: ChunkedText) => Generator<void, void, void>) => {
    const output = new ChunkedText();
    for (const _ of steps(output)) output.beginSlice();
    return Buffer.concat(output.take()).toString();
  };
  fc.assert(
    fc.property(dataValue(types, 'UpdateSet', { ...options, depth: 4 }), (value) => {
      assert.equal(
        collect((output) => soap.stream('returnval', type, value, output)),
        soap.elements('returnval', type, value),
      );
      assert.equal(
        collect((output) => json.stream(type, value, output)),
        json.value(type, value),
      );
    }),
    { numRuns: 20 },
  );
});

test('lazy arrays are read wherever an array may be', () => {
  const encoder = new SoapEncoder(new VersionPlans(types, newestVersion));
  const lazy = {
    *[Symbol.iterator]() {
      yield { obj: { type: 'Folder', value: 'group-d1' } };
    },
  };
  const type = { name: 'RetrieveResult', array: false };
  const output = new ChunkedText();
  for (const _ of encoder.stream('returnval', type, { objects: lazy }, output)) output.beginSlice();
  assert.equal(output.takeWhole(), '<returnval><objects><obj type="Folder">group-d1</obj></objects></returnval>');
});

test('no version is sent a property, a type or a reference that is newer than itself', () => {
  const data = anyData;
  fc.assert(
    fc.property(data, fc.constantFrom('2.5', '4.0', '5.5', '6.7', '7.0.3.0', '8.0.1.0'), (value, name) => {
      const version = apiVersion(name);
      const encoder = new JsonEncoder(new VersionPlans(types, version));
      const any = { name: 'anyType', array: false };
      visit(JSON.parse(encoder.value(any, value)), (typeName, members) => {
        const type = types.schema.data(typeName);
        if (type === undefined) return;
        // A type newer than its client is sent only where no older base fits the declaration.
        const rank = Math.max(version.rank, rankOf(type.since));
        for (const member of members)
          assert.ok(rankOf(type.property(member)?.since ?? '') <= rank, `${typeName}.${member}`);
      });
    }),
    { numRuns: 60 },
  );
});

function visit(value: unknown, look: (typeName: string, members: readonly string[]) => void): void {
  if (typeof value !== 'object' || value === null) return;
  const { _typeName, ...members } = value as Record<string, unknown>;
  if (typeof _typeName === 'string' && !('_value' in members)) look(_typeName, Object.keys(members));
  for (const member of Object.values(value)) visit(member, look);
}

test('a type, a managed type and an enum value newer than the client become what it knows', () => {
  const at = (name: string) => new SoapEncoder(new VersionPlans(types, apiVersion(name)));
  const device = { name: 'VirtualDevice', array: false };
  const clock = { _typeName: 'VirtualPrecisionClock', key: 1 };
  assert.equal(at('8.0.3.0').elements('d', device, clock), '<d xsi:type="VirtualPrecisionClock"><key>1</key></d>');
  assert.equal(at('6.7').elements('d', device, clock), '<d><key>1</key></d>');
  const group = { type: 'DistributedVirtualPortgroup', value: 'dvportgroup-1' };
  const network = { name: 'Network', array: false };
  assert.equal(at('4.0').elements('n', network, group), '<n type="DistributedVirtualPortgroup">dvportgroup-1</n>');
  assert.equal(at('2.5').elements('n', network, group), '<n type="Network">dvportgroup-1</n>');
  const operation = { name: 'HostConfigChangeOperation', array: false };
  assert.equal(at('5.5').elements('o', operation, 'ignore'), '<o>ignore</o>');
  assert.equal(at('5.1').elements('o', operation, 'ignore'), '');
});

test('every element of an array in an anyType says its type', () => {
  const encoder = new SoapEncoder(new VersionPlans(types, newestVersion));
  const any = { name: 'anyType', array: false };
  assert.equal(
    encoder.elements('val', any, { _typeName: 'ArrayOfString', _value: ['a', 'b'] }),
    '<val xsi:type="ArrayOfString"><string xsi:type="xsd:string">a</string><string xsi:type="xsd:string">b</string></val>',
  );
  assert.equal(
    encoder.elements('val', any, { _typeName: 'ArrayOfManagedEntity', _value: [{ type: 'Folder', value: 'f-1' }] }),
    '<val xsi:type="ArrayOfManagedObjectReference">' +
      '<ManagedObjectReference type="Folder" xsi:type="ManagedObjectReference">f-1</ManagedObjectReference></val>',
  );
  assert.equal(
    encoder.elements('val', any, {
      _typeName: 'ArrayOfVirtualDevice',
      _value: [{ _typeName: 'VirtualKeyboard', key: 6 }, { key: 7 }],
    }),
    '<val xsi:type="ArrayOfVirtualDevice"><VirtualDevice xsi:type="VirtualKeyboard"><key>6</key></VirtualDevice>' +
      '<VirtualDevice xsi:type="VirtualDevice"><key>7</key></VirtualDevice></val>',
  );
});

test('numbers and characters that are hard to write', () => {
  const encoder = new SoapEncoder(new VersionPlans(types, newestVersion));
  const one = (name: string, value: unknown) => encoder.elements('v', { name, array: false }, value);
  assert.equal(one('long', 2n ** 63n - 1n), '<v>9223372036854775807</v>');
  assert.equal(one('long', 1e21), '<v>1000000000000000000000</v>');
  assert.equal(one('double', Number.NaN), '<v>NaN</v>');
  assert.equal(one('double', Number.NEGATIVE_INFINITY), '<v>-INF</v>');
  assert.equal(one('string', 'a\rb\u0000c\ud800d&<>'), '<v>a&#xD;b\ufffdc\ufffdd&amp;&lt;&gt;</v>');
  assert.equal(one('anyType', 2 ** 40), `<v xsi:type="xsd:long">${2 ** 40}</v>`);
});
