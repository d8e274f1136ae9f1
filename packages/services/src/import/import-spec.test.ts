import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import {
  data,
  loadSchema,
  type OvfCreateImportSpecParams,
  type OvfCreateImportSpecResult,
  type VirtualDevice,
  type VirtualDisk,
  type VirtualMachineConfigSpec,
  type VirtualMachineImportSpec,
} from '@hypostyle/vim';
import fc from 'fast-check';
import { faultOf } from '../testing/datastore-fixture.ts';
import { importDevices } from './import-devices.ts';
import { createImportSpec } from './import-spec.ts';
import { parseOvfDescriptor } from './parse-descriptor.ts';

const fixture = (name: string) => readFileSync(new URL(`../../fixtures/${name}.ovf`, import.meta.url), 'utf8');
const networks = [
  { ref: { type: 'Network', value: 'net-1' }, name: 'VM Network' },
  { ref: { type: 'Network', value: 'net-2' }, name: 'Backup' },
];
const common = { locale: '', deploymentOption: '', entityName: 'web' };

async function specOf(descriptor: string, parameters: Partial<OvfCreateImportSpecParams> = {}) {
  const merged = data('OvfCreateImportSpecParams', { ...common, ...parameters });
  const result = await createImportSpec({ descriptor, parameters: merged, networks });
  const spec = (result.importSpec as VirtualMachineImportSpec | undefined)?.configSpec;
  return { result, spec };
}

function devices(spec: VirtualMachineConfigSpec | undefined, type: string): VirtualDevice[] {
  return (spec?.deviceChange ?? []).map(({ device }) => device).filter(({ _typeName }) => _typeName === type);
}

const errorTypes = ({ error }: OvfCreateImportSpecResult) => error?.map(({ fault }) => fault._typeName);

test('an appliance becomes a specification and its files', async () => {
  const { result, spec } = await specOf(fixture('photon'));
  assert.equal(result.error, undefined);
  assert.equal(spec?.name, 'web');
  assert.equal(spec?.guestId, 'vmwarePhoton64Guest');
  assert.equal(spec?.version, 'vmx-13');
  assert.deepEqual([spec?.numCPUs, spec?.memoryMB, spec?.firmware], [1, 2048, 'bios']);
  const [controller] = devices(spec, 'VirtualLsiLogicController');
  const [disk] = devices(spec, 'VirtualDisk') as VirtualDisk[];
  assert.equal(disk?.controllerKey, controller?.key);
  assert.equal(disk?.capacityInKB, 16 * 1024 * 1024);
  assert.deepEqual(devices(spec, 'VirtualE1000e')[0]?.backing, {
    _typeName: 'VirtualEthernetCardNetworkBackingInfo',
    deviceName: 'VM Network',
    network: { type: 'Network', value: 'net-1' },
  });
  assert.deepEqual(result.fileItem, [
    {
      _typeName: 'OvfFileItem',
      deviceId: '/web/VirtualLsiLogicController0:0',
      path: 'photon-disk1.vmdk',
      cimType: 17,
      create: false,
      size: 507132416,
    },
  ]);
});

test('a specification that went to the client and back still says what must be uploaded', async () => {
  const { result, spec } = await specOf(fixture('nvram'));
  assert.ok(spec);
  const wanted = importDevices(structuredClone(spec));
  assert.deepEqual(
    wanted.map(({ deviceId, kind, required }) => [deviceId, kind, required]),
    [
      ['/web/VirtualLsiLogicSASController0:0', 'disk', true],
      ['/web/nvram', 'nvram', true],
    ],
  );
  assert.deepEqual(
    wanted.map(({ deviceId }) => deviceId),
    result.fileItem?.map(({ deviceId }) => deviceId),
  );
  assert.equal(wanted[0]?.capacityBytes, 4 * 2 ** 30);
});

test('networks go where they are mapped, and unmapped ones with a word about it', async () => {
  const mapped = await specOf(fixture('photon'), {
    networkMapping: [data('OvfNetworkMapping', { name: 'VM Network', network: networks[1]!.ref })],
  });
  const [nic] = devices(mapped.spec, 'VirtualE1000e');
  assert.equal((nic?.backing as { deviceName?: string } | undefined)?.deviceName, 'Backup');
  assert.equal(mapped.result.warning, undefined);
  const other = await specOf(fixture('photon').replaceAll('VM Network', 'Production'));
  assert.match(
    other.result.warning?.[0]?.localizedMessage ?? '',
    /'Production' was not mapped and becomes 'VM Network'/,
  );
  const parameters = data('OvfCreateImportSpecParams', common);
  const none = await createImportSpec({ descriptor: fixture('photon'), parameters, networks: [] });
  assert.deepEqual(errorTypes(none), ['OvfNoHostNic']);
  const network = { type: 'Network', value: 'net-9' };
  await assert.rejects(
    specOf(fixture('photon'), { networkMapping: [data('OvfNetworkMapping', { name: 'VM Network', network })] }),
    faultOf('InvalidArgument'),
  );
});

test('disks are as thin or thick as asked', async () => {
  for (const [asked, thin, scrub] of [
    ['thin', true, false],
    ['thick', false, false],
    ['eagerZeroedThick', false, true],
  ] as const) {
    const { spec } = await specOf(fixture('two-disks'), { diskProvisioning: asked });
    for (const disk of devices(spec, 'VirtualDisk')) {
      const backing = disk.backing as { thinProvisioned?: boolean; eagerlyScrub?: boolean };
      assert.deepEqual([backing.thinProvisioned, backing.eagerlyScrub], [thin, scrub]);
    }
  }
  const { result } = await specOf(fixture('two-disks'), { diskProvisioning: 'twoGbMaxExtentFlat' });
  assert.deepEqual(errorTypes(result), ['OvfUnsupportedDiskProvisioning']);
});

test('a property gives a disk its size, and has a type for the form', async () => {
  const descriptor = fixture('disk-capacity-property').replace(
    'ovf:key="disksize"',
    'ovf:key="disksize" ovf:userConfigurable="true"',
  );
  const { spec, result } = await specOf(descriptor, {
    propertyMapping: [data('KeyValue', { key: 'disksize', value: '7' })],
  });
  const [disk] = devices(spec, 'VirtualDisk') as VirtualDisk[];
  assert.equal(disk?.capacityInBytes, 7 * 2 ** 30);
  assert.deepEqual(result.fileItem, []);
  assert.equal(importDevices(spec!)[0]?.required, false);
  const info = spec?.vAppConfig?.property?.[0]?.info;
  assert.deepEqual([info?.id, info?.type, info?.value, info?.defaultValue], ['disksize', 'int', '7', '5']);
  assert.deepEqual(spec?.vAppConfig?.ovfEnvironmentTransport, ['com.vmware.guestInfo']);
  const wrong = await specOf(descriptor, { propertyMapping: [data('KeyValue', { key: 'disksize', value: 'much' })] });
  assert.deepEqual(errorTypes(wrong.result), ['OvfPropertyValue']);
});

test('what cannot be built is an error of the right type, what may be left out a warning', async () => {
  assert.deepEqual(errorTypes((await specOf('<nonsense')).result), ['OvfXmlFormat']);
  assert.deepEqual(errorTypes((await specOf('<a/>')).result), ['OvfXmlFormat']);
  assert.deepEqual(errorTypes((await specOf(fixture('two-machines'))).result), ['OvfUnsupportedElement']);
  assert.deepEqual(errorTypes((await specOf(fixture('parent-disk'))).result), ['OvfUnsupportedAttribute']);
  const unknown = fixture('photon').replaceAll('>E1000e<', '>Token Ring<');
  assert.deepEqual(errorTypes((await specOf(unknown)).result), ['OvfUnsupportedSubType']);
  const newer = fixture('photon').replaceAll('vmx-13', 'vmx-99');
  assert.deepEqual(errorTypes((await specOf(newer)).result), ['OvfNoSupportedHardwareFamily']);
  const named = await specOf(fixture('photon'), { entityName: 'x'.repeat(81) });
  assert.deepEqual(errorTypes(named.result), ['OvfInvalidVmName']);
  const optional = await specOf(fixture('pci-passthrough'));
  assert.equal(optional.result.error, undefined);
  assert.match(optional.result.warning?.[0]?.localizedMessage ?? '', /pci\.passthrough/);
  await assert.rejects(specOf(fixture('photon'), { deploymentOption: 'none' }), faultOf('InvalidArgument'));
});

test('a package with several faults says all of them, with line and rule', async () => {
  const broken = fixture('photon')
    .replace(/ovf:fileRef="[^"]*"/, 'ovf:fileRef="nothing"')
    .replace(/<rasd:Parent>\d+</, '<rasd:Parent>77<');
  const { result } = await specOf(broken);
  assert.deepEqual(errorTypes(result), ['OvfInvalidPackage', 'OvfInvalidPackage']);
  const [file, parent] = result.error?.map(({ localizedMessage }) => localizedMessage ?? '') ?? [];
  assert.match(file ?? '', /^line \d+, DiskSection: error: .*"nothing".*\(DSP0243 1\.1 §9\.1\)$/);
  assert.match(parent ?? '', /^line \d+, VirtualHardwareSection: error: .*InstanceID 77/);
});

test('a wizard learns what it must show', async () => {
  const parameters = data('OvfParseDescriptorParams', { locale: '', deploymentOption: '' });
  const photon = await parseOvfDescriptor(fixture('photon'), parameters);
  assert.equal(photon.defaultEntityName, '111378-Photon-1.0-Rev2-64-Open-VM-Tools-HW13');
  assert.equal(photon.virtualApp, false);
  assert.deepEqual(
    photon.network?.map(({ name }) => name),
    ['VM Network'],
  );
  assert.equal(photon.approximateDownloadSize, 507132416);
  assert.equal(photon.approximateFlatDeploymentSize, 16 * 2 ** 30);
  assert.deepEqual((await parseOvfDescriptor(fixture('eula'), parameters)).eula, ['License for VM']);
  const two = await parseOvfDescriptor(fixture('two-machines'), parameters);
  assert.equal(two.virtualApp, true);
  assert.equal(two.entityName?.length, 2);
  const broken = await parseOvfDescriptor('<nonsense', parameters);
  assert.deepEqual(
    broken.error?.map(({ fault }) => fault._typeName),
    ['OvfXmlFormat'],
  );
});

test('every fault and device has a type that the model knows', async () => {
  const schema = loadSchema();
  for (const name of ['photon', 'nvram', 'two-disks', 'pci-passthrough', 'two-machines', 'eula']) {
    const { result } = await specOf(fixture(name));
    const check = (value: unknown): void => {
      if (typeof value !== 'object' || value === null) return;
      const type = (value as { _typeName?: unknown })._typeName;
      if (typeof type === 'string') assert.ok(schema.data(type) !== undefined, type);
      Object.values(value).forEach(check);
    };
    check(result);
  }
});

test('damaged descriptors end in faults of the package, never otherwise', async () => {
  const sources = ['photon', 'nvram', 'disk-capacity-property'].map(fixture);
  const cut = fc.record({
    source: fc.constantFrom(...sources),
    at: fc.double({ min: 0, max: 1, noNaN: true }),
    remove: fc.nat(60),
    insert: fc.constantFrom('', '"', '<', '>', '-1', '99999999999999999999', 'ovf:', '\0', '/', '&'),
  });
  await fc.assert(
    fc.asyncProperty(cut, async ({ source, at, remove, insert }) => {
      const position = Math.floor(at * source.length);
      const descriptor = source.slice(0, position) + insert + source.slice(position + remove);
      const { result } = await specOf(descriptor);
      assert.ok(result.error !== undefined || result.importSpec !== undefined);
      for (const { fault } of result.error ?? []) assert.match(fault._typeName ?? '', /^Ovf/);
    }),
    { numRuns: 150 },
  );
});
