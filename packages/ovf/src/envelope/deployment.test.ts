import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  checkPropertyValue,
  environmentOf,
  formatEnvironment,
  type HardwareOptions,
  OvfError,
  type OvfErrorCode,
  parseEnvelope,
  parseQualifiers,
  resolveHardware,
  resolveProperties,
  virtualSystems,
} from '../index.ts';
import { parseXml } from '../xml/xml-reader.ts';
import { childElements } from '../xml/xml-tree.ts';

const read = (name: string) =>
  parseEnvelope(readFileSync(new URL(`../../fixtures/descriptors/${name}.ovf`, import.meta.url)));
const suite = 'OVFToolTemplates__OVF__xmltestfiles__';

function hardware(name: string, options?: HardwareOptions) {
  const envelope = read(name);
  return resolveHardware(envelope, virtualSystems(envelope)[0]!, options);
}

function refused(code: OvfErrorCode, ...words: string[]) {
  return (error: unknown) => {
    assert.ok(error instanceof OvfError, String(error));
    assert.equal(error.code, code);
    for (const word of words) assert.ok(error.message.includes(word), `${error.message} says ${word}`);
    return true;
  };
}

test('an appliance becomes the numbers that a deployer needs', () => {
  const photon = hardware('photon5');
  assert.equal(photon.cpus, 1);
  assert.equal(photon.memoryMiB, 2048);
  assert.equal(photon.hardwareVersion, 15);
  assert.equal(photon.firmware, 'efi');
  assert.deepEqual(
    photon.controllers.map(({ model, bus }) => [model, bus]),
    [
      ['ahci', 0],
      ['pvscsi', 0],
    ],
  );
  assert.equal(photon.disks[0]?.file?.href, 'photon-ova-disk1.vmdk');
  assert.equal(photon.disks[0]?.capacity, 16 * 2 ** 30);
  assert.deepEqual([photon.disks[0]?.controller, photon.disks[0]?.unit], ['4', 0]);
  assert.deepEqual(
    photon.nics.map(({ model, network }) => [model, network]),
    [['vmxnet3', 'None']],
  );
  assert.equal(photon.cdroms.length, 1);
  assert.equal(hardware('cores-per-socket__multi-core-vm__multi-core-vm').coresPerSocket, 2);
});

test('a deployment option chooses among items, and one that does not exist is refused', () => {
  const name = `${suite}VirtualAppliances__Pos__nvapp002`;
  assert.equal(hardware(name, { configuration: 'small' }).memoryMiB, 256);
  assert.equal(hardware(name, { configuration: 'medium' }).memoryMiB, 512);
  assert.equal(hardware(name, { configuration: 'large' }).memoryMiB, 1024);
  assert.throws(() => hardware(name, { configuration: 'huge' }), refused('configuration-unknown', 'huge', 'small'));
});

test('ranges are kept in MiB', () => {
  const bound = hardware(`${suite}VirtualHardware_1_0__Pos__valid_bound`);
  assert.equal(bound.memoryMiB, 512);
  assert.deepEqual(bound.memoryRangeMiB, { minimum: 384, maximum: 1024 });
});

test('a model that does not exist is refused by InstanceID and line', () => {
  assert.throws(
    () => hardware(`${suite}NetworkSection__Pos__sub_E10000`),
    refused('hardware-unsupported', 'InstanceID 5', 'line 46', 'E10000'),
  );
  assert.throws(() => hardware('sriovEthernetCard'), refused('hardware-unsupported', 'SriovEthernetCard'));
});

test('four devices on one IDE controller get places of their own', () => {
  const box = hardware(`${suite}LaxMode__Pos__vbox4_three_devices_IDE__vbox4`);
  const places = [...box.disks, ...box.cdroms].map(({ controller, unit }) => `${controller}:${unit}`);
  assert.equal(new Set(places).size, places.length);
  assert.equal(box.controllers.filter(({ family }) => family === 'ide').length, 2);
});

test('of alternatives in ResourceSubType the first that exists is taken', () => {
  assert.equal(hardware(`${suite}VirtualHardware_1_0__Pos__valid_multiple_subtypes`).controllers[0]?.model, 'buslogic');
  assert.equal(hardware(`${suite}DiskSection__Pos__valid_2gbSparse_disk`).controllers[0]?.model, 'lsilogic');
});

test('values are checked by type and qualifiers', () => {
  const good: [string, string, string, string][] = [
    ['boolean', '', 'True', 'true'],
    ['int', '', ' 42 ', '42'],
    ['uint8', '', '255', '255'],
    ['sint64', '', '-9223372036854775808', '-9223372036854775808'],
    ['string', 'MinLen(1), MaxLen(3)', 'abc', 'abc'],
    ['string', 'ValueMap{"a,b", "c}"}', 'c}', 'c}'],
    ['string', 'Ip("VM Network (1)")', '', ''],
    ['real64', 'MinValue(1.0) MaxValue(10.67)', '1e1', '1e1'],
  ];
  for (const [type, qualifiers, value, expected] of good) {
    assert.deepEqual(checkPropertyValue({ type, qualifiers }, value), { value: expected }, `${type} ${qualifiers}`);
  }
  const bad: [string, string, string][] = [
    ['boolean', '', 'yes'],
    ['uint8', '', '256'],
    ['uint16', '', '-1'],
    ['uint64', '', '18446744073709551616'],
    ['string', 'MinLen(4)', 'abc'],
    ['string', 'ValueMap{"a","b"}', 'c'],
    ['int', 'MinValue(10) MaxValue(1000)', '9'],
    ['real32', '', '1e39'],
    ['nosuchtype', '', 'x'],
  ];
  for (const [type, qualifiers, value] of bad) {
    assert.ok('problem' in checkPropertyValue({ type, qualifiers }, value), `${type} ${qualifiers} ${value}`);
  }
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom('MinLen', '(', ')', '{', '}', '"', ',', '1', '\\', ' ') }),
      (text) => {
        parseQualifiers(text);
      },
    ),
  );
});

test('properties take the value given, and refuse what cannot be', () => {
  const envelope = read('properties');
  const key = 'ttylinux.enable_ssh.vm';
  const needed = { key: 'ttylinux.ntp-server.vm', value: 'pool.ntp.org' };
  const resolved = (overrides: { key: string; value: string }[]) =>
    resolveProperties(envelope, [needed, ...overrides]).find((property) => property.key === key)?.value;
  assert.equal(resolved([]), 'false');
  assert.equal(resolved([{ key, value: 'TRUE' }]), 'true');
  assert.throws(() => resolved([{ key, value: 'perhaps' }]), refused('property-invalid', key, 'boolean'));
  assert.throws(() => resolved([{ key: 'nothing', value: '' }]), refused('property-invalid', 'nothing'));
  assert.throws(
    () => resolved([{ key: 'ttylinux.nfs_mount.vm', value: '/x' }]),
    refused('property-invalid', 'cannot be set'),
  );
  assert.throws(() => resolveProperties(envelope), refused('property-invalid', 'ntp-server', 'needs a value'));
  assert.ok(resolveProperties(envelope, [], { allowMissing: true }).some(({ missing }) => missing));
});

test('no message shows a password', () => {
  const envelope = parseEnvelope(
    '<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1"><References/><VirtualSystem id="vm"><Info/><ProductSection><Info/><Property key="p" type="string" password="true" userConfigurable="true" qualifiers="MinLen(8)"/></ProductSection><VirtualHardwareSection><Info/></VirtualHardwareSection></VirtualSystem></Envelope>',
  );
  assert.throws(
    () => resolveProperties(envelope, [{ key: 'p', value: 'hunter2' }]),
    (error) => error instanceof OvfError && !error.message.includes('hunter2'),
  );
});

test('an environment tells a system its properties, those of its collection and of its siblings', () => {
  const envelope = read(`${suite}DiskSection_1_0__Pos__make_delta`);
  const [first, second] = virtualSystems(envelope);
  const properties = resolveProperties(envelope, [], { allowMissing: true });
  const environment = environmentOf(envelope, first!.id, properties, {
    platform: { kind: 'Hypostyle', version: '1', vendor: 'A & B', locale: 'en_US', timezone: 60 },
    adapters: [{ mac: '00:50:56:00:00:01', network: 'VM "1"', unitNumber: 7 }],
  });
  const root = parseXml(formatEnvironment(environment));
  assert.equal(root.namespace, 'http://schemas.dmtf.org/ovf/environment/1');
  assert.equal(root.attributes.find(({ name }) => name === 'id')?.value, first!.id);
  const parts = childElements(root);
  assert.deepEqual(
    parts.slice(0, 2).map(({ name }) => name),
    ['PlatformSection', 'PropertySection'],
  );
  const entity = parts.find(({ name }) => name === 'Entity');
  assert.equal(entity?.attributes[0]?.value, second!.id);
  assert.equal(parts.at(-1)?.name, 'EthernetAdapterSection');
  const keys = childElements(parts[1]!).map(({ attributes }) => attributes[0]?.value);
  assert.deepEqual(
    keys,
    environment.properties.map(({ key }) => key),
  );
  assert.throws(() => environmentOf(envelope, 'nobody', properties), refused('reference-unknown', 'nobody'));
});
