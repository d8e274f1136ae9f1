import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  formatEnvelope,
  parseEnvelope,
  type ValidationRule,
  validateDescriptor,
  validateEnvelope,
  validationRules,
} from '../index.ts';

interface Parts {
  readonly files?: string;
  readonly disks?: string;
  readonly networks?: string;
  /** Sections of the envelope behind DiskSection and NetworkSection. */
  readonly sections?: string;
  /** Sections of the virtual system before its hardware. */
  readonly system?: string;
  readonly items?: string;
  readonly config?: string;
  readonly strings?: string;
  readonly version?: 1 | 2;
  /** In place of the virtual system. */
  readonly content?: string;
}

const file = '<File ovf:id="f" ovf:href="a.vmdk" ovf:size="7"/>';
const disk = (attributes: string) =>
  `<Disk ovf:diskId="d" ovf:fileRef="f" ovf:capacity="4096" ovf:format="http://x/vmdk" ${attributes}/>`;
const rasd = (name: string, value: string | number | undefined) =>
  value === undefined ? '' : `<rasd:${name}>${value}</rasd:${name}>`;

interface Item {
  readonly attributes?: string;
  readonly id: string;
  readonly type: number;
  readonly address?: string;
  readonly units?: string;
  readonly connection?: string;
  readonly resource?: string;
  readonly parent?: string;
  readonly subType?: string;
  readonly quantity?: number;
  readonly rest?: string;
}

const item = (one: Item) =>
  `<Item ${one.attributes ?? ''}>${rasd('AddressOnParent', one.address)}${rasd('AllocationUnits', one.units)}${rasd('Connection', one.connection)}<rasd:ElementName>item</rasd:ElementName>${rasd('HostResource', one.resource)}<rasd:InstanceID>${one.id}</rasd:InstanceID>${rasd('Parent', one.parent)}${rasd('ResourceSubType', one.subType)}<rasd:ResourceType>${one.type}</rasd:ResourceType>${rasd('VirtualQuantity', one.quantity)}${one.rest ?? ''}</Item>`;
const cpu = item({ id: '1', type: 3, quantity: 2 });
const scsi = item({ id: '3', type: 6 });
const drive = item({ id: '4', type: 17, resource: 'ovf:/disk/d', parent: '3', address: '0' });

const hardware = (items: string, config = '') =>
  `<VirtualHardwareSection><Info/><System><vssd:ElementName>Virtual Hardware Family</vssd:ElementName><vssd:InstanceID>0</vssd:InstanceID></System>${items}${config}</VirtualHardwareSection>`;

function descriptor(parts: Parts = {}): string {
  const { version = 1 } = parts;
  const namespace = `http://schemas.dmtf.org/ovf/envelope/${version}`;
  const cim = 'http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2';
  const content =
    parts.content ??
    `<VirtualSystem ovf:id="vm"><Info/>${parts.system ?? ''}
${hardware(parts.items ?? `${cpu}${scsi}${drive}`, parts.config)}</VirtualSystem>`;
  return `<?xml version="1.0"?>
<Envelope xmlns="${namespace}" xmlns:ovf="${namespace}" xmlns:vmw="http://www.vmware.com/schema/ovf" xmlns:rasd="${cim}/CIM_ResourceAllocationSettingData" xmlns:vssd="${cim}/CIM_VirtualSystemSettingData">
<References>${parts.files ?? file}</References>
<DiskSection><Info/>${parts.disks ?? disk('')}</DiskSection>
<NetworkSection><Info/>${parts.networks ?? '<Network ovf:name="LAN"/>'}</NetworkSection>
${parts.sections ?? ''}
${content}
${parts.strings ?? ''}</Envelope>`;
}

const product = (body: string, attributes = '') => `<ProductSection ${attributes}><Info/>${body}</ProductSection>`;
const options = (list: string) => `<DeploymentOptionSection><Info/>${list}</DeploymentOptionSection>`;
const option = (id: string, attributes = '') =>
  `<Configuration ovf:id="${id}" ${attributes}><Label/><Description/></Configuration>`;
const collection = (sections: string, contents: string) =>
  `<VirtualSystemCollection ovf:id="c"><Info/>${sections}${contents}</VirtualSystemCollection>`;
const machine = (id: string) =>
  `<VirtualSystem ovf:id="${id}"><Info/>${hardware(`${cpu}${scsi}${drive}`)}</VirtualSystem>`;
const twoFiles = `${file}<File ovf:id="g" ovf:href="b.vmdk" ovf:size="7"/>`;
const secondDisk = (attributes: string) => `${disk('')}<Disk ovf:diskId="e" ovf:capacity="4096" ${attributes}/>`;

/** Rules of the package around a descriptor, which no descriptor breaks. */
const packageRules = [
  'descriptor-alone',
  'file-name',
  'file-there',
  'file-listed',
  'file-size',
  'file-chunks',
  'file-outside',
  'archive-order',
  'archive-bytes',
  'bundle-first',
  'manifest-readable',
  'manifest-complete',
  'manifest-known',
  'certificate-valid',
] as const satisfies readonly ValidationRule[];

/** For every other rule a descriptor that breaks it. */
const broken: Readonly<Record<Exclude<ValidationRule, (typeof packageRules)[number]>, string>> = {
  'xml-well-formed': '<Envelope',
  'envelope-root': '<Strings xmlns="http://schemas.dmtf.org/ovf/envelope/1"/>',
  structure: descriptor({ files: '<File ovf:id="f" ovf:href=""/>' }),
  'section-understood': descriptor({ sections: '<x:OddSection xmlns:x="urn:x"><Info/></x:OddSection>' }),
  'schema-order': descriptor({ strings: options(option('a')) }),
  'schema-unexpected': descriptor({ sections: '<OddSection><Info/></OddSection>' }),
  'schema-repeated': descriptor({ system: product('<AppUrl>a</AppUrl><AppUrl>b</AppUrl>') }),
  'schema-missing': descriptor({ system: '<EulaSection><Info/></EulaSection>' }),
  'schema-attribute-missing': descriptor({ system: product('<Property ovf:key="a"/>') }),
  'schema-attribute-unqualified': descriptor({ networks: '<Network name="LAN"/>' }),
  'schema-type': descriptor({ files: file.replace('"7"', '"-7"') }),
  'schema-text': descriptor({ networks: 'LAN' }),
  'schema-name-missing': descriptor().replace('<vssd:InstanceID>0</vssd:InstanceID>', ''),
  'schema-draft-name': descriptor().replaceAll('rasd:InstanceID', 'rasd:InstanceId'),
  'extension-optional': descriptor({ disks: `${disk('')}<Odd ovf:required="false"/>` }),
  'section-kept': descriptor({ sections: '<x:A xmlns:x="urn:x" ovf:required="false"><Info/></x:A>' }),
  'section-place': descriptor({ sections: '<EulaSection><Info/><License/></EulaSection>' }),
  'section-once': descriptor({ sections: '<DiskSection><Info/></DiskSection>' }),
  'content-id-unique': descriptor({ content: collection('', machine('c')) }),
  'child-id-unique': descriptor({ content: collection('', `${machine('a')}${machine('a')}`) }),
  'file-id-unique': descriptor({ files: `${file}<File ovf:id="f" ovf:href="b"/>` }),
  'file-href-unique': descriptor({ files: `${file}<File ovf:id="g" ovf:href="a.vmdk"/>` }),
  'file-empty': descriptor({ files: file.replace('"7"', '"0"') }),
  'disk-id-unique': descriptor({ disks: `${disk('')}<Disk ovf:diskId="d" ovf:capacity="1"/>` }),
  'disk-file-known': descriptor({ disks: secondDisk('ovf:fileRef="nothing"') }),
  'disk-file-shared': descriptor({ disks: secondDisk('ovf:fileRef="f"') }),
  'disk-file-order': descriptor({
    files: twoFiles,
    disks: `<Disk ovf:diskId="e" ovf:fileRef="g" ovf:capacity="1"/>${disk('')}`,
  }),
  'disk-populated': descriptor({ disks: disk('ovf:populatedSize="4097"') }),
  'disk-parent-known': descriptor({ disks: disk('ovf:parentRef="nothing"') }),
  'disk-parent-acyclic': descriptor({ disks: disk('ovf:parentRef="d"') }),
  'disk-parent-capacity': descriptor({ disks: `${disk('ovf:parentRef="e"')}<Disk ovf:diskId="e" ovf:capacity="1"/>` }),
  'disk-capacity-property': descriptor({ disks: disk('').replace('4096', '$' + '{size}') }),
  'disk-unused': descriptor({ disks: secondDisk('') }),
  'disk-unused-unsized': descriptor({
    files: `${file}<File ovf:id="g" ovf:href="b.vmdk"/>`,
    disks: secondDisk('ovf:fileRef="g"'),
  }),
  'disk-format': descriptor({ disks: disk('').replace('ovf:format="http://x/vmdk"', '') }),
  'unit-form': descriptor({ disks: disk('ovf:capacityAllocationUnits="MegaBytes"') }),
  'unit-unreadable': descriptor({ disks: disk('ovf:capacityAllocationUnits="hertz"') }),
  'unit-known': descriptor({ items: `${cpu}${scsi}${item({ id: '9', type: 1, subType: 'x', units: '?' })}${drive}` }),
  'network-name-unique': descriptor({ networks: '<Network ovf:name="A"/><Network ovf:name="A"/>' }),
  'network-known': descriptor({ items: `${cpu}${scsi}${drive}${item({ id: '9', type: 10, connection: 'WAN' })}` }),
  'string-bundle-file': descriptor({ strings: '<Strings ovf:fileRef="nothing"/>' }),
  'string-bundle-language': descriptor({ strings: '<Strings><Msg ovf:msgid="a">A</Msg></Strings>' }),
  'message-unique': descriptor({
    strings: '<Strings xml:lang="de"><Msg ovf:msgid="a">A</Msg><Msg ovf:msgid="a">B</Msg></Strings>',
  }),
  'configuration-id-unique': descriptor({ sections: options(`${option('a')}${option('a')}`) }),
  'configuration-default': descriptor({
    sections: options(`${option('a', 'ovf:default="true"')}${option('b', 'ovf:default="true"')}`),
  }),
  'configuration-known': descriptor({
    items: `${item({ id: '1', type: 3, quantity: 1, attributes: 'ovf:configuration="huge"' })}${scsi}${drive}`,
  }),
  'product-unique': descriptor({ system: `${product('', 'ovf:class="a"')}${product('', 'ovf:class="a"')}` }),
  'property-key-unique': descriptor({
    system: product('<Property ovf:key="a" ovf:type="string"/><Property ovf:key="a" ovf:type="string"/>'),
  }),
  'property-key-form': descriptor({ system: product('<Property ovf:key="a.b" ovf:type="string"/>') }),
  'property-type': descriptor({ system: product('<Property ovf:key="a" ovf:type="int"/>') }),
  'property-qualifiers': descriptor({
    system: product('<Property ovf:key="a" ovf:type="string" ovf:qualifiers="MinLen(x)"/>'),
  }),
  'property-value': descriptor({ system: product('<Property ovf:key="a" ovf:type="uint8" ovf:value="256"/>') }),
  'property-value-unique': descriptor({
    system: product('<Property ovf:key="a" ovf:type="string"><Value ovf:value="1"/><Value ovf:value="2"/></Property>'),
  }),
  'icon-file': descriptor({ system: product('<Icon ovf:fileRef="nothing"/>') }),
  'startup-child': descriptor({
    content: collection('<StartupSection><Info/><Item ovf:id="x" ovf:order="1"/></StartupSection>', machine('a')),
  }),
  'startup-action': descriptor({
    content: collection(
      '<StartupSection><Info/><Item ovf:id="a" ovf:order="1" ovf:stopAction="suspend"/></StartupSection>',
      machine('a'),
    ),
  }),
  'startup-once': descriptor({
    content: collection(
      '<StartupSection><Info/><Item ovf:id="a" ovf:order="1"/><Item ovf:id="a" ovf:order="2"/></StartupSection>',
      machine('a'),
    ),
  }),
  'scale-out-child': descriptor({
    version: 2,
    content: collection(
      '<ScaleOutSection ovf:id="x"><Info/><Description/><InstanceCount ovf:minimum="1"/></ScaleOutSection>',
      machine('a'),
    ),
  }),
  'scale-out-count': descriptor({
    version: 2,
    content: collection(
      '<ScaleOutSection ovf:id="a"><Info/><Description/><InstanceCount ovf:minimum="3" ovf:maximum="2"/></ScaleOutSection>',
      machine('a'),
    ),
  }),
  'scale-out-once': descriptor({
    version: 2,
    content: collection(
      '<ScaleOutSection ovf:id="a"><Info/><Description/><InstanceCount ovf:default="2"/></ScaleOutSection>'.repeat(2),
      machine('a'),
    ),
  }),
  'placement-group-unique': descriptor({
    version: 2,
    sections: '<PlacementGroupSection ovf:id="g"><Info/></PlacementGroupSection>'.repeat(2),
  }),
  'placement-group-known': descriptor({
    version: 2,
    system: '<PlacementSection ovf:group="x"><Info/></PlacementSection>',
  }),
  'environment-file': descriptor({
    version: 2,
    system: '<EnvironmentFilesSection><Info/><File ovf:fileRef="x" ovf:path="setup.exe"/></EnvironmentFilesSection>',
  }),
  'shared-disk-file': descriptor({
    version: 2,
    sections:
      '<SharedDiskSection><Info/><SharedDisk ovf:diskId="s" ovf:fileRef="x" ovf:capacity="1"/></SharedDiskSection>',
  }),
  'boot-device': descriptor({
    system: '<vmw:BootOrderSection vmw:instanceId="77" vmw:type="disk"><Info/></vmw:BootOrderSection>',
  }),
  'encrypted-file': descriptor({
    version: 2,
    sections:
      '<EncryptionSection><Info/><x:ReferenceList xmlns:x="urn:x"><x:DataReference URI="other.vmdk"/></x:ReferenceList></EncryptionSection>',
  }),
  'hardware-present': descriptor({ content: '<VirtualSystem ovf:id="vm"><Info/></VirtualSystem>' }),
  'item-id-unique': descriptor({ items: `${cpu}${scsi}${drive}${item({ id: '3', type: 6 })}` }),
  'item-bound-alone': descriptor({
    items: `${cpu}${item({ id: '2', type: 4, quantity: 1, attributes: 'ovf:bound="max"' })}${scsi}${drive}`,
  }),
  'item-bound-unique': descriptor({
    items: `${cpu}${item({ id: '1', type: 3, quantity: 1, attributes: 'ovf:bound="min"' }).repeat(2)}${scsi}${drive}`,
  }),
  'item-bound-order': descriptor({
    items: `${cpu}${item({ id: '1', type: 3, quantity: 3, attributes: 'ovf:bound="min"' })}${scsi}${drive}`,
  }),
  'item-quantity': descriptor({ items: `${item({ id: '1', type: 3 })}${scsi}${drive}` }),
  'item-type-known': descriptor({ items: `${cpu}${scsi}${drive}${item({ id: '9', type: 35 })}` }),
  'item-other-type': descriptor({ items: `${cpu}${scsi}${drive}${item({ id: '9', type: 1 })}` }),
  'item-parent-known': descriptor({ items: `${cpu}${drive}` }),
  'item-parent-holds': descriptor({
    items: `${cpu}${item({ id: '4', type: 17, resource: 'ovf:/disk/d', parent: '1' })}`,
  }),
  'item-parent-acyclic': descriptor({
    items: `${cpu}${item({ id: '3', type: 6, parent: '5' })}${item({ id: '5', type: 6, parent: '3' })}${drive}`,
  }),
  'item-place-unique': descriptor({
    items: `${cpu}${scsi}${drive}${item({ id: '5', type: 15, parent: '3', address: '0' })}`,
  }),
  'item-host-resource': descriptor({
    items: `${cpu}${scsi}${drive}${item({ id: '5', type: 15, resource: '/file/x' })}`,
  }),
  'item-host-resource-form': descriptor({
    items: `${cpu}${scsi}${drive}${item({ id: '5', type: 15, resource: 'host' })}`,
  }),
  'item-disk-content': descriptor({ items: `${cpu}${scsi}${drive}${item({ id: '5', type: 17, parent: '3' })}` }),
  'item-type-of-variants': descriptor({
    sections: options(option('a')),
    items: `${cpu}${scsi}${drive}${item({ id: '3', type: 5, attributes: 'ovf:configuration="a"' })}`,
  }),
  'extra-config-file': descriptor({ config: '<vmw:ExtraConfig vmw:key="nvram" vmw:value="ovf:/file/x"/>' }),
  'firmware-consistent': descriptor({
    config: '<vmw:Config vmw:key="bootOptions.efiSecureBootEnabled" vmw:value="true"/>',
  }),
};

test('a descriptor that keeps to every rule has no issue', () => {
  assert.deepEqual(validateEnvelope(descriptor()).issues, []);
  assert.deepEqual(validateEnvelope(descriptor({ version: 2 })).issues, []);
});

for (const rule of Object.keys(broken) as (keyof typeof broken)[]) {
  test(`${rule}: what breaks it is named with its place and source`, () => {
    for (const mode of ['strict', 'lax'] as const) {
      const { issues, valid } = validateEnvelope(broken[rule], { mode });
      const issue = issues.find((candidate) => candidate.rule === rule);
      assert.ok(issue, JSON.stringify(issues));
      assert.equal(issue.severity, validationRules[rule][mode]);
      assert.match(
        issue.source,
        /^(DSP8023|DSP0243 [12]\.1 §\d+(\.\d+)*|DSP0004 annex C|XML 1\.0|VMware OVF extensions)$/,
      );
      assert.ok((issue.location.line ?? 0) > 0);
      if (rule !== 'xml-well-formed') assert.ok(issue.location.section);
      if (issue.severity === 'error') assert.equal(valid, false);
      else if (mode === 'lax' && valid) assert.ok(formatEnvelope(parseEnvelope(broken[rule])));
    }
  });
}

test('a validation goes on after an issue', () => {
  const { issues } = validateEnvelope(
    descriptor({ files: `${twoFiles}<File ovf:id="f" ovf:href="a.vmdk" ovf:size="x"/>`, networks: '<Network/>' }),
  );
  assert.deepEqual(
    issues.map(({ rule, location }) => `${rule} ${location.section} ${location.line}`),
    ['schema-type References 3', 'schema-attribute-missing NetworkSection 5'],
  );
});

test('no message shows the value of a property', () => {
  const secret = product('<Property ovf:key="a" ovf:type="uint8" ovf:password="true" ovf:value="hunter2"/>');
  assert.ok(!JSON.stringify(validateEnvelope(descriptor({ version: 2, system: secret })).issues).includes('hunter2'));
});

test('a descriptor that is validated in slices gets the same report', async () => {
  for (const source of Object.values(broken)) {
    assert.deepEqual(await validateDescriptor(source), validateEnvelope(source));
  }
});
