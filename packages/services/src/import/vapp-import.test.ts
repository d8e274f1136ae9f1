import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import {
  data,
  type ImportSpec,
  isData,
  type OvfCreateImportSpecParams,
  type VirtualAppImportSpec,
  type VirtualMachineImportSpec,
} from '@hypostyle/vim';
import fc from 'fast-check';
import { importDevices } from './import-devices.ts';
import { createImportSpec, importSpecOn } from './import-spec.ts';
import { importedPlacements } from './placement.ts';

const networks = [{ ref: { type: 'Network', value: 'net-1' } as const, name: 'VM Network' }];
const corpus = new URL('../../../ovf/fixtures/descriptors/', import.meta.url);
const parameters: OvfCreateImportSpecParams = data('OvfCreateImportSpecParams', {
  locale: '',
  deploymentOption: '',
  entityName: '',
});
const specOf = (descriptor: string, asked: Partial<OvfCreateImportSpecParams> = {}) =>
  createImportSpec({ descriptor, parameters: { ...parameters, ...asked }, networks, vApps: true });

/** Every machine of a specification, with the vApps that it is in. */
function machinesOf(spec: ImportSpec | undefined, within = ''): { path: string; spec: VirtualMachineImportSpec }[] {
  if (isData('VirtualMachineImportSpec', spec)) return [{ path: within, spec: spec as VirtualMachineImportSpec }];
  const { name, child = [] } = spec as VirtualAppImportSpec;
  return child.flatMap((one) => machinesOf(one, `${within}/${name}`));
}

const shop = `<?xml version="1.0"?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"
  xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData"
  xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
  <References><File ovf:id="f" ovf:href="db.vmdk" ovf:size="7"/></References>
  <DiskSection><Info>d</Info><Disk ovf:diskId="d" ovf:fileRef="f" ovf:capacity="1048576"
    ovf:format="http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"/></DiskSection>
  <NetworkSection><Info>n</Info><Network ovf:name="front"/></NetworkSection>
  <VirtualSystemCollection ovf:id="shop">
    <Info>i</Info>
    <ServiceLevelSection ovf:required="false" xmlns="http://example.com/sla"><ovf:Info>s</ovf:Info>
      <Availability class="gold">99.9</Availability></ServiceLevelSection>
    <ResourceAllocationSection><Info>r</Info>
      <Item><rasd:AllocationUnits>byte * 2^20</rasd:AllocationUnits><rasd:ElementName>m</rasd:ElementName>
        <rasd:InstanceID>1</rasd:InstanceID><rasd:Reservation>64</rasd:Reservation>
        <rasd:ResourceType>4</rasd:ResourceType></Item>
    </ResourceAllocationSection>
    <ProductSection ovf:class="shop"><Info>p</Info><Product>Shop</Product>
      <Property ovf:key="domain" ovf:type="string" ovf:userConfigurable="true" ovf:value="a"/></ProductSection>
    <StartupSection><Info>o</Info>
      <Item ovf:id="db" ovf:order="1" ovf:startDelay="5" ovf:waitingForGuest="true" ovf:stopAction="guestShutdown" ovf:stopDelay="9"/>
      <Item ovf:id="rest" ovf:order="2"/></StartupSection>
    <VirtualSystem ovf:id="db"><Info>i</Info><Name>Database</Name>
      <VirtualHardwareSection><Info>h</Info>
        <Item><rasd:ElementName>c</rasd:ElementName><rasd:InstanceID>1</rasd:InstanceID><rasd:ResourceType>3</rasd:ResourceType><rasd:VirtualQuantity>1</rasd:VirtualQuantity></Item>
        <Item><rasd:AllocationUnits>byte * 2^20</rasd:AllocationUnits><rasd:ElementName>m</rasd:ElementName><rasd:InstanceID>2</rasd:InstanceID><rasd:ResourceType>4</rasd:ResourceType><rasd:VirtualQuantity>64</rasd:VirtualQuantity></Item>
        <Item><rasd:Address>0</rasd:Address><rasd:ElementName>s</rasd:ElementName><rasd:InstanceID>3</rasd:InstanceID><rasd:ResourceSubType>lsilogic</rasd:ResourceSubType><rasd:ResourceType>6</rasd:ResourceType></Item>
        <Item><rasd:AddressOnParent>0</rasd:AddressOnParent><rasd:ElementName>d</rasd:ElementName><rasd:HostResource>ovf:/disk/d</rasd:HostResource><rasd:InstanceID>4</rasd:InstanceID><rasd:Parent>3</rasd:Parent><rasd:ResourceType>17</rasd:ResourceType></Item>
      </VirtualHardwareSection></VirtualSystem>
    <VirtualSystemCollection ovf:id="rest"><Info>i</Info>
      <VirtualSystem ovf:id="web"><Info>i</Info>
        <ProductSection><Info>p</Info><Property ovf:key="port" ovf:type="uint16" ovf:userConfigurable="true" ovf:value="80"/></ProductSection>
        <VirtualHardwareSection><Info>h</Info>
          <Item><rasd:ElementName>c</rasd:ElementName><rasd:InstanceID>1</rasd:InstanceID><rasd:ResourceType>3</rasd:ResourceType><rasd:VirtualQuantity>2</rasd:VirtualQuantity></Item>
          <Item><rasd:AllocationUnits>byte * 2^20</rasd:AllocationUnits><rasd:ElementName>m</rasd:ElementName><rasd:InstanceID>2</rasd:InstanceID><rasd:ResourceType>4</rasd:ResourceType><rasd:VirtualQuantity>32</rasd:VirtualQuantity></Item>
        </VirtualHardwareSection></VirtualSystem>
    </VirtualSystemCollection>
  </VirtualSystemCollection>
</Envelope>`;

test('a collection becomes a vApp: order of starting, resources, properties, what nobody knows', async () => {
  const result = await specOf(shop, { entityName: 'my shop', propertyMapping: [{ key: 'shop.domain', value: 'b' }] });
  assert.equal(result.error, undefined);
  const spec = result.importSpec as VirtualAppImportSpec;
  assert.equal(spec.name, 'my shop');
  assert.equal(Number(spec.resourcePoolSpec.memoryAllocation.reservation), 64);
  assert.equal(Number(spec.resourcePoolSpec.cpuAllocation.reservation), 0);
  const { property = [], product = [], ovfSection = [] } = spec.vAppConfigSpec;
  assert.deepEqual(
    property.map(({ info }) => [info?.classId, info?.id, info?.defaultValue, info?.value]),
    [['shop', 'domain', 'a', 'b']],
  );
  assert.deepEqual(
    product.map(({ info }) => info?.name),
    ['Shop'],
  );
  assert.match(ovfSection[0]?.info?.contents ?? '', /<Availability class="gold">99\.9<\/Availability>/);
  assert.equal(ovfSection[0]?.info?.namespace, 'http://example.com/sla');
  const [database, rest] = spec.child as [VirtualMachineImportSpec, VirtualAppImportSpec];
  const { tag, startOrder, startDelay, waitingForGuest, stopAction, stopDelay } = database.entityConfig ?? {};
  assert.deepEqual(
    [tag, startOrder, startDelay, waitingForGuest, stopAction, stopDelay],
    ['db', 1, 5, true, 'guestShutdown', 9],
  );
  assert.equal(database.configSpec.name, 'Database');
  assert.equal(database.configSpec.vAppConfig, undefined, 'the properties of others are not its own');
  assert.equal(rest.entityConfig?.startOrder, 2);
  const [web] = rest.child as [VirtualMachineImportSpec];
  assert.deepEqual(
    web.configSpec.vAppConfig?.property?.map(({ info }) => info?.id),
    ['port'],
  );
  assert.deepEqual(
    result.fileItem?.map(({ deviceId, path }) => [deviceId, path]),
    [['/my shop/Database/VirtualLsiLogicController0:0', 'db.vmdk']],
  );
  const placed = importSpecOn('nas', result).importSpec;
  for (const machine of machinesOf(placed)) assert.equal(machine.spec.configSpec.files?.vmPathName, '[nas]');
});

test('every descriptor of the corpus becomes a specification, or errors that say why', async () => {
  let vApps = 0;
  for (const file of readdirSync(corpus).filter((name) => name.endsWith('.ovf'))) {
    const result = await specOf(readFileSync(new URL(encodeURIComponent(file), corpus), 'utf8'));
    assert.equal(result.importSpec === undefined, (result.error?.length ?? 0) > 0, file);
    if (result.importSpec === undefined) continue;
    if (isData('VirtualAppImportSpec', result.importSpec)) vApps += 1;
    const items = new Set(result.fileItem?.map(({ deviceId }) => deviceId));
    assert.equal(items.size, result.fileItem?.length ?? 0, `${file} names a device twice`);
    for (const { path, spec } of machinesOf(result.importSpec)) {
      for (const { deviceId, required } of importDevices(spec.configSpec))
        if (required) assert.ok(items.has(`${path}${deviceId}`), `${file} has nothing for ${path}${deviceId}`);
    }
  }
  assert.ok(vApps > 10, `${vApps} vApps`);
});

const fixture = (name: string) => readFileSync(new URL(`ImportOvf2014__${name}.ovf`, corpus), 'utf8');
const remarks = ({ warning = [] }: Awaited<ReturnType<typeof specOf>>) =>
  warning.map(({ localizedMessage }) => localizedMessage ?? '');

test('what scales out becomes as many machines, each with its own disks, or an error that tells the bounds', async () => {
  const scaled = shop
    .replaceAll('envelope/1"', 'envelope/2"')
    .replace(
      '<StartupSection>',
      '<ScaleOutSection ovf:id="db"><Info>s</Info><InstanceCount ovf:default="2" ovf:maximum="3"/></ScaleOutSection><StartupSection>',
    );
  const names = async (importOption?: readonly string[]) => {
    const result = await specOf(scaled, importOption === undefined ? {} : { importOption });
    assert.deepEqual(result.error ?? [], []);
    return { result, names: machinesOf(result.importSpec).map(({ spec }) => spec.configSpec.name) };
  };
  const usual = await names();
  assert.deepEqual(usual.names, ['Database-1', 'Database-2', 'web']);
  assert.deepEqual(
    usual.result.fileItem?.map(({ deviceId, path }) => [deviceId, path]),
    [1, 2].map((n) => [`/shop/Database-${n}/VirtualLsiLogicController0:0`, 'db.vmdk']),
  );
  const { child = [] } = usual.result.importSpec as VirtualAppImportSpec;
  assert.deepEqual(
    child.map(({ entityConfig }) => [entityConfig?.tag, entityConfig?.startOrder, entityConfig?.startDelay]),
    [
      ['db-1', 1, 5],
      ['db-2', 1, 5],
      ['rest', 2, 0],
    ],
  );
  assert.deepEqual((await names(['scaleOut:db=3', 'other'])).names.length, 4);
  assert.deepEqual((await names(['virtualSystem:db-2'])).names, ['Database-2']);
  const refused = await specOf(scaled, { importOption: ['scaleOut:db=9'] });
  assert.match(refused.error?.[0]?.localizedMessage ?? '', /"db" has 1 to 3 instances, not 9/);
  await assert.rejects(specOf(scaled, { importOption: ['scaleOut:db'] }), /scaleOut:ID=COUNT/);
  await assert.rejects(specOf(scaled, { importOption: ['virtualSystem:db'] }), /no machine 'db'/);
});

test('each copy can be told a property of its own', async () => {
  const scaled = shop.replace(
    '<VirtualSystem ovf:id="web">',
    '<o:ScaleOutSection xmlns:o="http://schemas.dmtf.org/ovf/envelope/2" o:id="web"><Info/><o:InstanceCount o:default="3"/></o:ScaleOutSection><VirtualSystem ovf:id="web">',
  );
  const ports = async (mapping: Readonly<Record<string, string>>) => {
    const propertyMapping = Object.entries(mapping).map(([key, value]) => ({ key, value }));
    const result = await specOf(scaled, { propertyMapping });
    assert.deepEqual(result.error ?? [], []);
    const webs = machinesOf(result.importSpec).filter(({ spec }) => spec.configSpec.name?.startsWith('web'));
    return webs.map(({ spec }) => {
      const info = spec.configSpec.vAppConfig?.property?.[0]?.info;
      return `${info?.defaultValue}:${info?.value}`;
    });
  };
  assert.deepEqual(await ports({ port: '81', 'web-2/port': '82' }), ['80:81', '80:82', '80:81']);
  assert.deepEqual(await ports({ 'web-3/port': '83' }), ['80:', '80:', '80:83']);
  const unknown = await specOf(scaled, { propertyMapping: [{ key: 'web-9/port', value: '1' }] });
  assert.match(unknown.error?.[0]?.localizedMessage ?? '', /no property "web-9\/port"/);
});

test('placement groups come out of the specification again, and a place without rules says so', async () => {
  const pair = fixture('soft-aag-2-vm-vapp').replace('<Name>Test System</Name>', '<Name>First</Name>');
  const apart = await specOf(pair);
  assert.deepEqual(
    remarks(apart).filter((text) => /placement/.test(text)),
    [],
  );
  const [group] = importedPlacements(apart.importSpec as ImportSpec);
  assert.deepEqual([group?.kind, group?.machines.length], ['availability', 2]);
  assert.match(group?.name ?? '', /group-4$/);
  const alone = await createImportSpec({
    descriptor: pair,
    parameters,
    networks,
    vApps: true,
    noRules: 'there are no rules.',
  });
  assert.match(remarks(alone).join(), /'section4' \(availability\) is kept and not followed: there are no rules\./);
  const racks = await specOf(pair.replace('"availability"', '"affinity-rack"'));
  assert.match(remarks(racks).join(), /affinity-rack.*not followed/);
  assert.deepEqual(importedPlacements(racks.importSpec as ImportSpec), []);
  const unknown = await specOf(pair.replace('"availability"', '"near"'));
  assert.match(remarks(unknown).join(), /the policy is not known/);
});

test('whatever a client says its sections are, they are groups of machines or nothing', () => {
  const part = fc.oneof(
    fc.string(),
    fc.constantFrom(
      '<PlacementSection',
      '<PlacementGroupSection',
      ' group="g"',
      ' id="g"',
      ' policy="affinity"',
      '/>',
      '<a>',
      '</a>',
    ),
  );
  const contents = fc.array(part, { maxLength: 6 }).map((parts) => parts.join(''));
  const kind = fc.constantFrom('PlacementSection', 'PlacementGroupSection', 'Other');
  const namespace = 'http://schemas.dmtf.org/ovf/envelope/2';
  const section = fc.record({ type: kind, contents }).map(({ type, contents: text }) =>
    data('VAppOvfSectionSpec', {
      operation: 'add',
      info: data('VAppOvfSectionInfo', { key: 0, type, namespace, contents: text }),
    }),
  );
  const sections = fc.array(section, { maxLength: 3 });
  fc.assert(
    fc.property(sections, fc.array(sections, { maxLength: 3 }), (own, others) => {
      const child = others.map((ovfSection, index) =>
        data('VirtualMachineImportSpec', {
          configSpec: data('VirtualMachineConfigSpec', {
            name: `m${index}`,
            vAppConfig: data('VmConfigSpec', { ovfSection }),
          }),
        }),
      );
      const share = data('ResourceAllocationInfo', {});
      const spec = data('VirtualAppImportSpec', {
        name: 'v',
        vAppConfigSpec: data('VAppConfigSpec', { ovfSection: own }),
        resourcePoolSpec: data('ResourceConfigSpec', { cpuAllocation: share, memoryAllocation: share }),
        child,
      });
      for (const { machines } of importedPlacements(spec)) assert.ok(machines.length >= 2);
    }),
    { numRuns: 60 },
  );
});

test('a package whose disks are encrypted is refused by name: what a client would send is no disk', async () => {
  const data =
    '<x:EncryptedData xmlns:x="http://www.w3.org/2001/04/xmlenc#"><x:CipherData><x:CipherReference URI="db.vmdk"/></x:CipherData></x:EncryptedData>';
  const { error = [] } = await specOf(shop.replace('ovf:size="7"/>', `ovf:size="7">${data}</File>`));
  assert.equal(error[0]?.fault._typeName, 'OvfUnsupportedSection');
  assert.match(error[0]?.localizedMessage ?? '', /encrypted \(db\.vmdk\)/);
});
