import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  formatEnvelope,
  OvfError,
  parseEnvelope,
  resolveHardware,
  validateEnvelope,
  virtualSystems,
} from '../index.ts';

const own = 'http://schemas.dmtf.org/ovf/envelope/1';
const rasd = 'http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData';

function descriptor(files: string, disks: string, system: string): string {
  return `<Envelope xmlns="${own}" xmlns:ovf="${own}" xmlns:rasd="${rasd}"><References>${files}</References><DiskSection><Info/>${disks}</DiskSection><VirtualSystem ovf:id="vm"><Info/>${system}<VirtualHardwareSection><Info/></VirtualHardwareSection></VirtualSystem></Envelope>`;
}

const repeat = (count: number, write: (index: number) => string) =>
  Array.from({ length: count }, (_, index) => write(index)).join('');
const item = (index: number) =>
  `<Item><rasd:InstanceID>${index}</rasd:InstanceID><rasd:Parent>${index + 1}</rasd:Parent><rasd:ResourceType>6</rasd:ResourceType></Item>`;

const limits = { maxElements: 100_000 };

/** Descriptors far beyond the bounds of number, on which anything but linear work takes minutes. */
const hostile: Readonly<Record<string, () => string>> = {
  'many files': () =>
    descriptor(
      repeat(15_000, (index) => `<File ovf:id="f${index}" ovf:href="h${index}"/>`),
      repeat(15_000, (index) => `<Disk ovf:diskId="d${index}" ovf:fileRef="f${index}" ovf:capacity="1"/>`),
      '',
    ),
  'a long chain of disks': () =>
    descriptor(
      '',
      repeat(30_000, (index) => `<Disk ovf:diskId="d${index}" ovf:parentRef="d${index + 1}" ovf:capacity="1"/>`),
      '',
    ),
  'a long chain of items': () =>
    descriptor('', '', `<VirtualHardwareSection><Info/>${repeat(15_000, item)}</VirtualHardwareSection>`),
  'many sections': () =>
    descriptor(
      '',
      '',
      repeat(30_000, () => '<x:Odd xmlns:x="urn:x" ovf:required="false"/>'),
    ),
  'many products': () =>
    descriptor(
      '',
      '',
      repeat(20_000, (index) => `<ProductSection ovf:class="c${index}"><Info/></ProductSection>`),
    ),
  'long qualifiers': () =>
    descriptor(
      '',
      '',
      `<ProductSection><Info/><Property ovf:key="a" ovf:type="string" ovf:value="x" ovf:qualifiers="${'a( '.repeat(100_000)}"/></ProductSection>`,
    ),
  'a long unit': () => descriptor('', `<Disk ovf:capacityAllocationUnits="byte${' *'.repeat(100_000)}"/>`, ''),
  'many families': () =>
    descriptor(
      '',
      '',
      `<VirtualHardwareSection><Info/><System><a:VirtualSystemType xmlns:a="urn:a">${'vmx-7 '.repeat(500_000)}</a:VirtualSystemType></System></VirtualHardwareSection>`,
    ),
};

for (const [what, write] of Object.entries(hostile)) {
  test(`${what}: read in time, or refused`, { timeout: 60_000 }, () => {
    const source = write();
    validateEnvelope(source, limits);
    try {
      const envelope = parseEnvelope(source, limits);
      formatEnvelope(envelope);
      for (const system of virtualSystems(envelope)) resolveHardware(envelope, system);
    } catch (error) {
      assert.ok(error instanceof OvfError, String(error));
    }
  });
}
