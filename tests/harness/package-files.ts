import { createHash } from 'node:crypto';
import { writeStreamOptimized } from '@hypostyle/vmdk';

/** A member of an archive; `name` is written as it is, however bad. */
export interface Member {
  readonly name: string;
  readonly content: Uint8Array;
}

/** A tar of the ustar kind, with its two blocks at the end. */
export function tarOf(members: readonly Member[]): Buffer {
  const blocks: Buffer[] = [];
  for (const { name, content } of members) {
    const header = Buffer.alloc(512);
    header.write(name, 0, 100);
    header.write('0000644\0', 100);
    header.write('0000000\0', 108);
    header.write('0000000\0', 116);
    header.write(`${content.length.toString(8).padStart(11, '0')}\0`, 124);
    header.write('00000000000\0', 136);
    header.write('        ', 148);
    header.write('0', 156);
    header.write('ustar\0', 257);
    header.write('00', 263);
    const sum = header.reduce((total, byte) => total + byte, 0);
    header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
    blocks.push(header, Buffer.from(content), Buffer.alloc((512 - (content.length % 512)) % 512));
  }
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}

/** A streamOptimized disk; each block of 64 KiB is random bytes, which do not compress, unless told. */
export async function streamDisk(
  virtualBytes: number,
  content: (bytes: number) => Uint8Array = (bytes) => crypto.getRandomValues(new Uint8Array(bytes)),
): Promise<Buffer> {
  const blocks = async function* () {
    for (let offset = 0; offset < virtualBytes; offset += 65_536) {
      yield { offset, data: content(Math.min(65_536, virtualBytes - offset)) };
    }
  };
  const parts: Uint8Array[] = [];
  for await (const part of writeStreamOptimized({ virtualBytes, blocks: blocks() })) parts.push(part);
  return Buffer.concat(parts);
}

export interface DescriptorOptions {
  readonly name: string;
  readonly href: string;
  readonly fileBytes: number;
  readonly capacityBytes: number;
  /** Sub-type of the network card. Default VmxNet3. */
  readonly nic?: string;
  /** Comes before the envelope. */
  readonly prolog?: string;
}

/** A small OVF descriptor: one machine, one disk, one card. */
export function descriptorOf(options: DescriptorOptions): string {
  const { name, href, fileBytes, capacityBytes, nic = 'VmxNet3', prolog = '' } = options;
  const items = [
    { ElementName: 'cpu', InstanceID: 1, ResourceType: 3, VirtualQuantity: 1 },
    { AllocationUnits: 'byte * 2^20', ElementName: 'memory', InstanceID: 2, ResourceType: 4, VirtualQuantity: 64 },
    { Address: 0, ElementName: 'scsi', InstanceID: 3, ResourceSubType: 'lsilogic', ResourceType: 6 },
    {
      AddressOnParent: 0,
      ElementName: 'disk',
      HostResource: 'ovf:/disk/disk1',
      InstanceID: 4,
      Parent: 3,
      ResourceType: 17,
    },
    {
      AddressOnParent: 7,
      AutomaticAllocation: true,
      Connection: 'VM Network',
      ElementName: 'nic',
      InstanceID: 5,
      ResourceSubType: nic,
      ResourceType: 10,
    },
  ].map((members) => {
    const elements = Object.entries(members).map(([key, value]) => `<rasd:${key}>${value}</rasd:${key}>`);
    return `<Item>${elements.join('')}</Item>`;
  });
  return `<?xml version="1.0" encoding="UTF-8"?>
${prolog}<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"
  xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData"
  xmlns:vssd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData">
  <References><File ovf:id="file1" ovf:href="${href}" ovf:size="${fileBytes}"/></References>
  <DiskSection><Info>Disks</Info><Disk ovf:diskId="disk1" ovf:fileRef="file1" ovf:capacity="${capacityBytes}"
    ovf:format="http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"/></DiskSection>
  <NetworkSection><Info>Networks</Info><Network ovf:name="VM Network"/></NetworkSection>
  <VirtualSystem ovf:id="${name}"><Info>A machine</Info><Name>${name}</Name>
    <OperatingSystemSection ovf:id="101"><Info>Linux</Info></OperatingSystemSection>
    <VirtualHardwareSection><Info>Hardware</Info>
      <System><vssd:ElementName>Hardware</vssd:ElementName><vssd:InstanceID>0</vssd:InstanceID>
        <vssd:VirtualSystemType>vmx-13</vssd:VirtualSystemType></System>
      ${items.join('\n      ')}
    </VirtualHardwareSection></VirtualSystem>
</Envelope>
`;
}

/** The manifest of files, with SHA-256. */
export function manifestOf(members: readonly Member[]): string {
  return members
    .map(({ name, content }) => `SHA256(${name})= ${createHash('sha256').update(content).digest('hex')}\n`)
    .join('');
}
