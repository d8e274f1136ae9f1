import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatEnvelope, parseEnvelope, validateEnvelope, virtualSystems } from '../index.ts';
import { lossOf } from '../testing/xml-loss.ts';
import { parseXml } from '../xml/xml-reader.ts';

const cim = 'http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2';

/** One descriptor with every section of 2.x; in 1.x they stand in the namespace of 2.x, as VMware's tools write them. */
function descriptor(version: 1 | 2): string {
  const own = `http://schemas.dmtf.org/ovf/envelope/${version}`;
  const items =
    version === 1
      ? ''
      : `<EthernetPortItem><epasd:Connection>LAN</epasd:Connection><epasd:DefaultPortVID>12</epasd:DefaultPortVID><epasd:ElementName>Port</epasd:ElementName><epasd:InstanceID>5</epasd:InstanceID><epasd:ResourceType>10</epasd:ResourceType></EthernetPortItem>
         <StorageItem><sasd:Access>3</sasd:Access><sasd:ElementName>Disk</sasd:ElementName><sasd:HostExtentName>x</sasd:HostExtentName><sasd:HostResource>ovf:/disk/shared</sasd:HostResource><sasd:InstanceID>6</sasd:InstanceID><sasd:Parent>3</sasd:Parent><sasd:ResourceType>31</sasd:ResourceType></StorageItem>`;
  return `<?xml version="1.0"?>
<Envelope xmlns="${own}" xmlns:ovf="${own}" xmlns:o="http://schemas.dmtf.org/ovf/envelope/2" xmlns:vmw="http://www.vmware.com/schema/ovf" xmlns:rasd="${cim}/CIM_ResourceAllocationSettingData" xmlns:sasd="${cim}/CIM_StorageAllocationSettingData" xmlns:epasd="${cim}/CIM_EthernetPortAllocationSettingData" xmlns:bootc="${cim}/CIM_BootConfigSetting" xmlns:boots="${cim}/CIM_BootSourceSetting" xmlns:xenc="http://www.w3.org/2001/04/xmlenc#">
  <References><File ovf:id="f" ovf:href="data.vmdk" ovf:size="7"/><File ovf:id="setup" ovf:href="setup.exe" ovf:size="7"/></References>
  <NetworkSection><Info/><Network ovf:name="LAN"/></NetworkSection>
  <o:SharedDiskSection><Info>Shared</Info><o:SharedDisk o:diskId="shared" o:fileRef="f" o:capacity="8" o:capacityAllocationUnits="byte * 2^30" o:format="http://x/vmdk" o:readOnly="false"/></o:SharedDiskSection>
  <vmw:IpAssignmentSection ovf:required="false" vmw:protocols="IPv4,IPv6" vmw:schemes="ovfenv,dhcp"><Info/></vmw:IpAssignmentSection>
  <o:PlacementGroupSection o:id="web" o:policy="availability" vmw:priority="0"><Info>Apart</Info><o:Description>Keep apart</o:Description></o:PlacementGroupSection>
  <vmw:StorageGroupSection vmw:id="fast" vmw:name="Fast"><Info/><vmw:Description>SSD</vmw:Description></vmw:StorageGroupSection>
  <o:EncryptionSection><Info/><xenc:EncryptionMethod Algorithm="http://www.w3.org/2001/04/xmlenc#aes128-cbc"/><xenc:ReferenceList><xenc:DataReference URI="data.vmdk"/></xenc:ReferenceList></o:EncryptionSection>
  <VirtualSystemCollection ovf:id="app"><Info/>
    <o:ScaleOutSection o:id="web"><Info/><o:Description>Web</o:Description><o:InstanceCount o:default="4" o:minimum="2" o:maximum="8"/></o:ScaleOutSection>
    <VirtualSystem ovf:id="web"><Info/>
      <vmw:BootOrderSection vmw:instanceId="3" vmw:type="disk"><Info/></vmw:BootOrderSection>
      <VirtualHardwareSection><Info/>
        <Item><rasd:ElementName>SCSI</rasd:ElementName><rasd:InstanceID>3</rasd:InstanceID><rasd:ResourceType>6</rasd:ResourceType></Item>
        ${items}
      </VirtualHardwareSection>
      <o:PlacementSection o:group="web"><Info/></o:PlacementSection>
      <vmw:StorageSection vmw:group="fast"><Info/></vmw:StorageSection>
      <o:EnvironmentFilesSection ovf:required="false" o:transport="iso"><Info/><o:File o:fileRef="setup" o:path="bin/setup.exe"/></o:EnvironmentFilesSection>
      <o:BootDeviceSection><Info/><bootc:CIM_BootConfigSetting><bootc:Caption>Sequence</bootc:Caption><bootc:Description>Disk first</bootc:Description><boots:CIM_BootSourceSetting><boots:Caption>Disk</boots:Caption><boots:InstanceID>3</boots:InstanceID></boots:CIM_BootSourceSetting></bootc:CIM_BootConfigSetting></o:BootDeviceSection>
    </VirtualSystem>
  </VirtualSystemCollection>
</Envelope>`;
}

const plain = (value: unknown) =>
  JSON.parse(JSON.stringify(value, (key, entry) => (key === 'line' || key === 'prefix' ? undefined : entry)));

for (const version of [1, 2] as const) {
  test(`the sections of 2.x have values in an envelope of ${version}.x, and are written back in place`, () => {
    const source = descriptor(version);
    const report = validateEnvelope(source);
    assert.deepEqual(
      report.issues.filter(({ severity }) => severity === 'error'),
      [],
    );
    const envelope = parseEnvelope(source);
    const [system] = virtualSystems(envelope);
    assert.ok(system && envelope.content.kind === 'VirtualSystemCollection');
    assert.deepEqual(plain(envelope.sharedDiskSection?.disks), [
      {
        id: 'shared',
        fileId: 'f',
        capacity: { quantity: 8, unit: 'byte * 2^30', bytes: 8 * 2 ** 30 },
        format: 'http://x/vmdk',
        readOnly: false,
      },
    ]);
    const [group] = envelope.placementGroups ?? [];
    assert.deepEqual([group?.id, group?.policy, group?.description?.text], ['web', 'availability', 'Keep apart']);
    assert.equal(group?.attributes?.[0]?.name, 'priority');
    assert.deepEqual(envelope.encryption?.references, ['data.vmdk']);
    assert.deepEqual(envelope.encryption?.algorithms, ['http://www.w3.org/2001/04/xmlenc#aes128-cbc']);
    assert.deepEqual(envelope.ipAssignment?.schemes, ['ovfenv', 'dhcp']);
    assert.deepEqual(
      envelope.storageGroups?.map(({ id, name, description }) => [id, name, description?.text]),
      [['fast', 'Fast', 'SSD']],
    );
    const [scale] = envelope.content.scaleOut ?? [];
    assert.deepEqual([scale?.id, scale?.minimum, scale?.default, scale?.maximum], ['web', 2, 4, 8]);
    assert.deepEqual(
      system.placements?.map((placement) => placement.group),
      ['web'],
    );
    assert.deepEqual(system.storage?.[0]?.group, 'fast');
    assert.deepEqual(system.environmentFiles?.transports, ['iso']);
    assert.deepEqual(plain(system.environmentFiles?.files), [{ fileId: 'setup', path: 'bin/setup.exe' }]);
    assert.deepEqual(plain(system.bootDevices?.configurations), [
      {
        caption: { text: 'Sequence' },
        description: { text: 'Disk first' },
        sources: [{ caption: { text: 'Disk' }, instanceId: '3' }],
      },
    ]);
    assert.deepEqual(
      system.bootOrder?.map(({ instanceId, type }) => [instanceId, type]),
      [['3', 'disk']],
    );
    const written = formatEnvelope(envelope);
    assert.deepEqual(plain(parseEnvelope(written)), plain(envelope));
    assert.deepEqual(lossOf(parseXml(source), parseXml(written)), []);
    const names = (text: string) => [...text.matchAll(/<(?:\w+:)?(\w+Section)\b/g)].map(([, name]) => name);
    assert.deepEqual(names(written), names(source));
  });
}

test('items of 2.x keep what their classes have beyond what is read', () => {
  const [system] = virtualSystems(parseEnvelope(descriptor(2)));
  const [, port, storage] = system!.hardware[0]!.items;
  assert.deepEqual([port?.element, port?.resourceType, port?.connections], ['EthernetPortItem', 10, ['LAN']]);
  assert.deepEqual(
    port?.extensions?.map(({ name, children }) => [name, children]),
    [['DefaultPortVID', ['12']]],
  );
  assert.deepEqual([storage?.element, storage?.hostResources], ['StorageItem', ['ovf:/disk/shared']]);
});

test('classes in namespaces that end in .xsd, as VirtualBox writes them, are the same classes', () => {
  const source = descriptor(2).replace(/(Storage|EthernetPort)AllocationSettingData"/g, '$1AllocationSettingData.xsd"');
  assert.ok(source.includes('.xsd"'));
  assert.equal(validateEnvelope(source).valid, true);
  assert.deepEqual(plain(parseEnvelope(source)), plain(parseEnvelope(descriptor(2))));
});

test('a type that an unknown element names keeps its namespace, whatever the prefix was', () => {
  const section = `<x:Odd xmlns:x="urn:x" xmlns:vmw="urn:other" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" ovf:required="false"><x:part xsi:type="vmw:Kind"/></x:Odd>`;
  const source = descriptor(1).replace('<VirtualSystemCollection', `${section}<VirtualSystemCollection`);
  const typeOf = (text: string) => {
    const [odd] = parseXml(text).children.filter((child) => typeof child !== 'string' && child.name === 'Odd');
    return typeof odd === 'object' && typeof odd.children[0] === 'object' ? odd.children[0].type : undefined;
  };
  const written = formatEnvelope(parseEnvelope(source));
  assert.deepEqual(typeOf(source), { namespace: 'urn:other', name: 'Kind' });
  assert.deepEqual(typeOf(written), typeOf(source));
});
