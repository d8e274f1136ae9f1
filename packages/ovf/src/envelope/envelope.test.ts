import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  type Envelope,
  formatEnvelope,
  localize,
  OvfError,
  type OvfErrorCode,
  parseAllocationUnit,
  parseEnvelope,
  quantityInBytes,
} from '../index.ts';

const head =
  '<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1">';
const body = (sections = '') =>
  `${head}<References/>${sections}<VirtualSystem ovf:id="vm"><Info/><VirtualHardwareSection><Info/></VirtualHardwareSection></VirtualSystem></Envelope>`;

function refused(code: OvfErrorCode, ...words: string[]) {
  return (error: unknown) => {
    assert.ok(error instanceof OvfError);
    assert.equal(error.code, code);
    for (const word of words) assert.ok(error.message.includes(word), `${error.message} says ${word}`);
    return true;
  };
}

test('a document type declaration and entities are refused', () => {
  assert.throws(() => parseEnvelope(`<!DOCTYPE a [<!ENTITY b "c">]>${body()}`), refused('xml-forbidden', 'line 1'));
  assert.throws(() => parseEnvelope(body('<a>&b;</a>')), refused('xml-malformed', 'entity'));
});

test('length, depth, elements and attributes are bounded', () => {
  const attributes = Array.from({ length: 200 }, (_, index) => `a${index}=""`).join(' ');
  assert.throws(() => parseEnvelope('<a>'.repeat(10_000)), refused('xml-limit', 'deep'));
  assert.throws(() => parseEnvelope(`<a>${'<b/>'.repeat(100_001)}</a>`), refused('xml-limit', 'elements'));
  assert.throws(() => parseEnvelope(`<a ${attributes}/>`), refused('xml-limit', 'attributes'));
  assert.throws(() => parseEnvelope(' '.repeat(5 * 1024 * 1024)), refused('xml-limit'));
});

test('an unknown section is kept when optional and refused by name and line when required', () => {
  const section = (required: string) =>
    `\n<x:OddSection xmlns:x="urn:x" ${required}><Info/><x:a b="c">text</x:a></x:OddSection>`;
  assert.throws(() => parseEnvelope(body(section(''))), refused('section-unknown', 'OddSection', 'line 2'));
  assert.throws(() => parseEnvelope(body(section('ovf:required="true"'))), refused('section-unknown', 'OddSection'));
  const envelope = parseEnvelope(body(section('ovf:required="false"')));
  assert.equal(envelope.otherSections[0]?.name, 'OddSection');
  assert.equal(envelope.warnings.length, 1);
  assert.match(
    formatEnvelope(envelope),
    /<x:OddSection xmlns:x="urn:x" ovf:required="false">\s*<Info\/>\s*<x:a b="c">text<\/x:a>/,
  );
});

test('capacities are bytes by their unit, or name a property', () => {
  const disk = (attributes: string) =>
    parseEnvelope(body(`<DiskSection><Info/><Disk ovf:diskId="d" ${attributes}/></DiskSection>`)).diskSection?.disks[0]
      ?.capacity;
  assert.deepEqual(disk('ovf:capacity="16" ovf:capacityAllocationUnits="byte * 2^30"'), {
    quantity: 16,
    unit: 'byte * 2^30',
    bytes: 16 * 2 ** 30,
  });
  // biome-ignore lint/suspicious/noTemplateCurlyInString: this is how a descriptor names a property.
  assert.deepEqual(disk('ovf:capacity="${size}" ovf:capacityAllocationUnits="MB"'), { property: 'size', unit: 'MB' });
  assert.throws(
    () => disk('ovf:capacity="1" ovf:capacityAllocationUnits="hertz"'),
    refused('unit-unknown', 'DiskSection'),
  );
});

test('allocation units are base, factor and power, however spaced', () => {
  for (const text of ['byte * 2^20', 'byte*2^20', ' byte * 2 ^ 20 ', 'MegaBytes', 'byte * 1024 * 1024', 'KB*2^10']) {
    assert.deepEqual(parseAllocationUnit(text), { base: 'byte', factor: 2 ** 20 }, text);
  }
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 1000 }), fc.integer({ min: 0, max: 40 }), (quantity, power) => {
      assert.equal(quantityInBytes(quantity, `byte * 2^${power}`), quantity * 2 ** power);
    }),
  );
  fc.assert(
    fc.property(fc.string(), (text) => {
      try {
        assert.ok(parseAllocationUnit(text).factor > 0);
      } catch (error) {
        assert.ok(error instanceof OvfError);
      }
    }),
  );
});

test('texts come from the string bundle of the language, else from the fallback', () => {
  const bundle = '<Strings xml:lang="de-DE"><Msg ovf:msgid="net">Netze</Msg></Strings>';
  const source = body('<NetworkSection><Info ovf:msgid="net">Networks</Info></NetworkSection>').replace(
    '</Envelope>',
    `${bundle}</Envelope>`,
  );
  const envelope = parseEnvelope(source);
  const { info } = envelope.networkSection!;
  assert.equal(localize(envelope, info, 'de-DE'), 'Netze');
  assert.equal(localize(envelope, info, 'de'), 'Netze');
  assert.equal(localize(envelope, info, 'fr'), 'Networks');
});

const text = fc.string({
  unit: fc.constantFrom('a', 'é', '漢', '<', '&', '>', '"', "'", ' ', '\n', '\t', '\r', ']]>', '😀'),
});
const id = fc.stringMatching(/^[a-z][a-z0-9]{0,8}$/);
const message = fc.record({ text });

const envelopes: fc.Arbitrary<Envelope> = fc
  .record({
    version: fc.constantFrom('1' as const, '2' as const),
    id,
    info: message,
    size: fc.nat(),
    capacity: fc.integer({ min: 1, max: 4096 }),
    properties: fc.uniqueArray(fc.record({ key: id, value: text, category: message, password: fc.boolean() }), {
      selector: ({ key }) => key,
      maxLength: 4,
    }),
    extra: text,
  })
  .map(({ version, id: systemId, info, size, capacity, properties, extra }) => ({
    version,
    language: 'en-US',
    files: [{ id: 'file1', href: 'disk 1.vmdk', size }],
    diskSection: {
      info,
      disks: [
        {
          id: 'disk1',
          fileId: 'file1',
          capacity: { quantity: capacity, unit: 'byte * 2^20', bytes: capacity * 2 ** 20 },
        },
      ],
    },
    networkSection: { info, networks: [{ name: 'VM Network', description: info }] },
    otherSections: [],
    content: {
      kind: 'VirtualSystem',
      id: systemId,
      info,
      name: info,
      operatingSystem: { info, id: 101, vmwareType: 'otherLinux64Guest' },
      hardware: [
        {
          info,
          transports: ['iso', 'com.vmware.guestInfo'],
          system: { instanceId: '0', elementName: 'Virtual Hardware Family', type: 'vmx-15' },
          items: [
            {
              element: 'Item',
              instanceId: '1',
              resourceType: 3,
              elementName: { text: 'CPUs' },
              virtualQuantity: 2,
              coresPerSocket: 2,
              config: [{ key: 'cpu', value: extra, required: false }],
            },
          ],
          config: [{ key: 'firmware', value: 'efi', required: false }],
          extraConfig: [{ key: 'guestinfo.x', value: extra }],
        },
      ],
      annotations: [{ info, annotation: { text: extra } }],
      products: [{ info, class: 'c', properties: properties.map((property) => ({ ...property, type: 'string' })) }],
      eulas: [{ info, license: { text: extra } }],
      otherSections: [],
    },
    strings: [],
    warnings: [],
  }));

test('what is written is read back as the same value', () => {
  const plain = (value: unknown) =>
    JSON.parse(
      JSON.stringify(value, (key, entry) => (['line', 'order', 'warnings'].includes(key) ? undefined : entry)),
    );
  fc.assert(
    fc.property(envelopes, (envelope) => {
      assert.deepEqual(plain(parseEnvelope(formatEnvelope(envelope))), plain(envelope));
    }),
  );
});

test('a character that XML cannot hold is refused when writing', () => {
  const envelope = parseEnvelope(body());
  assert.throws(() => formatEnvelope({ ...envelope, language: '\u0001' }), refused('text-invalid'));
});
