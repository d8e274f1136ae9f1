import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Environment, formatEnvironment, OvfError, parseEnvironment } from '../index.ts';

const text = fc.string({ maxLength: 20 }).map((value) => value.replace(/[\u0000-\u001f\ufffe\uffff]/g, '_'));
const property = fc.record({ key: text, value: text });
const word = fc.constantFrom('Hypostyle', 'en_US', '<&">', 'Ünïcode');

const environments: fc.Arbitrary<Environment> = fc.record(
  {
    entityId: text,
    platform: fc.record(
      { kind: word, version: word, vendor: word, locale: word, timezone: fc.integer({ min: -720, max: 840 }) },
      { requiredKeys: [] },
    ),
    properties: fc.array(property, { maxLength: 4 }),
    adapters: fc.array(fc.record({ mac: text, network: text, unitNumber: fc.nat(64) }), { minLength: 1, maxLength: 3 }),
    siblings: fc.array(fc.record({ entityId: text, properties: fc.array(property, { maxLength: 2 }) }), {
      minLength: 1,
      maxLength: 3,
    }),
  },
  { requiredKeys: ['entityId', 'properties'] },
);

const plain = (value: unknown) => JSON.parse(JSON.stringify(value));

test('an environment is read back as it was written', () => {
  fc.assert(
    fc.property(environments, (environment) => {
      assert.deepEqual(plain(parseEnvironment(formatEnvironment(environment))), plain(environment));
    }),
  );
});

test('an environment of another tool is read, whatever else is in it', () => {
  const environment = parseEnvironment(
    `<?xml version="1.0"?>
    <Environment xmlns="http://schemas.dmtf.org/ovf/environment/1" xmlns:oe="http://schemas.dmtf.org/ovf/environment/1" xmlns:ve="http://www.vmware.com/schema/ovfenv" oe:id="vm" ve:vCenterId="vm-12">
      <PlatformSection><Kind>VMware ESXi</Kind><Locale>en</Locale></PlatformSection>
      <PropertySection><Property oe:key="a" oe:value="1"/><Property oe:key="b" oe:value=""/></PropertySection>
      <x:Other xmlns:x="urn:x"><x:Thing/></x:Other>
      <ve:EthernetAdapterSection><ve:Adapter ve:mac="00:50:56:00:00:01" ve:network="LAN" ve:unitNumber="7"/></ve:EthernetAdapterSection>
      <Entity oe:id="db"><PropertySection><Property oe:key="c" oe:value="3"/></PropertySection></Entity>
    </Environment>`,
  );
  assert.deepEqual(environment, {
    entityId: 'vm',
    platform: { kind: 'VMware ESXi', locale: 'en' },
    properties: [
      { key: 'a', value: '1' },
      { key: 'b', value: '' },
    ],
    adapters: [{ mac: '00:50:56:00:00:01', network: 'LAN', unitNumber: 7 }],
    siblings: [{ entityId: 'db', properties: [{ key: 'c', value: '3' }] }],
  });
});

test('what is no environment is refused by code', () => {
  const refused = (source: string, code: string) =>
    assert.throws(
      () => parseEnvironment(source),
      (error) => error instanceof OvfError && error.code === code,
    );
  refused('<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1"/>', 'not-an-environment');
  refused('<!DOCTYPE a><Environment/>', 'xml-forbidden');
  refused(
    '<Environment xmlns="http://schemas.dmtf.org/ovf/environment/1"><PropertySection><Property/></PropertySection></Environment>',
    'envelope-invalid',
  );
});

test('no mutation of an environment does more than throw an OvfError', () => {
  const edits = fc.array(fc.tuple(fc.nat(), fc.nat(255), fc.boolean()), { minLength: 1, maxLength: 5 });
  fc.assert(
    fc.property(environments, edits, (environment, changes) => {
      const bytes = Buffer.from(formatEnvironment(environment));
      for (const [at, value, cut] of changes)
        bytes.fill(cut ? 0x20 : value, at % bytes.length, (at % bytes.length) + 1);
      try {
        parseEnvironment(bytes);
      } catch (error) {
        assert.ok(error instanceof OvfError, String(error));
      }
    }),
    { numRuns: 300 },
  );
});
