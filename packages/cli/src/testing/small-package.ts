import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { formatManifest, writeOva } from '@hypostyle/ovf';
import { writeStreamOptimized } from '@hypostyle/vmdk';

const mebibyte = 2 ** 20;

/** A package of a machine with one disk that holds `content` at its beginning. */
export interface SmallPackage {
  readonly ova: string;
  readonly ovf: string;
  /** An OVA whose manifest has another digest for the disk. */
  readonly wrongDigest: string;
  /** An OVA of a collection whose only machine is there twice, and up to three times. */
  readonly scaled: string;
}

/** Writes the package in every form into a folder. */
export async function writeSmallPackage(folder: string, content: Buffer): Promise<SmallPackage> {
  const blocks = async function* () {
    yield { offset: 0, data: content };
  };
  const parts: Buffer[] = [];
  for await (const part of writeStreamOptimized({ virtualBytes: 4 * mebibyte, blocks: blocks() })) parts.push(part);
  const disk = Buffer.concat(parts);
  const descriptor = descriptorOf(disk.length);
  const paths = {
    ova: join(folder, 'small.ova'),
    ovf: join(folder, 'small.ovf'),
    wrongDigest: join(folder, 'wrong-digest.ova'),
    scaled: join(folder, 'scaled.ova'),
  };
  const diskFile = { name: 'disk.vmdk', size: disk.length, open: () => [disk] as unknown as AsyncIterable<Uint8Array> };
  await writeOva(createWriteStream(paths.ova), { descriptorName: 'small.ovf', descriptor, files: [diskFile] });
  await writeOva(createWriteStream(paths.scaled), {
    descriptorName: 'scaled.ovf',
    descriptor: scaledOf(descriptor),
    files: [diskFile],
  });
  const sha256 = (bytes: string | Buffer) => createHash('sha256').update(bytes).digest('hex');
  const entries = [
    { algorithm: 'SHA256', file: 'small.ovf', digest: sha256(descriptor) },
    { algorithm: 'SHA256', file: 'disk.vmdk', digest: sha256(disk) },
  ] as const;
  await writeFile(paths.ovf, descriptor);
  await writeFile(join(folder, 'disk.vmdk'), disk);
  await writeFile(join(folder, 'small.mf'), formatManifest({ entries }));
  const archive = await readFile(paths.ova, 'latin1');
  await writeFile(paths.wrongDigest, archive.replace(sha256(disk), sha256('something else')), 'latin1');
  return paths;
}

function descriptorOf(diskBytes: number): string {
  return `<?xml version="1.0" encoding="UTF-8"?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"
  xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData"
  xmlns:vssd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData">
  <References><File ovf:id="file1" ovf:href="disk.vmdk" ovf:size="${diskBytes}"/></References>
  <DiskSection><Info>Disks</Info>
    <Disk ovf:diskId="disk1" ovf:fileRef="file1" ovf:capacity="${4 * mebibyte}"
      ovf:format="http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"/>
  </DiskSection>
  <NetworkSection><Info>Networks</Info><Network ovf:name="net"><Description>net</Description></Network></NetworkSection>
  <VirtualSystem ovf:id="small"><Info>A machine</Info><Name>small</Name>
    <OperatingSystemSection ovf:id="101"><Info>Guest</Info></OperatingSystemSection>
    <VirtualHardwareSection><Info>Hardware</Info>
      <System><vssd:ElementName>Hardware</vssd:ElementName><vssd:InstanceID>0</vssd:InstanceID>
        <vssd:VirtualSystemType>vmx-13</vssd:VirtualSystemType></System>
      <Item><rasd:ElementName>cpu</rasd:ElementName><rasd:InstanceID>1</rasd:InstanceID>
        <rasd:ResourceType>3</rasd:ResourceType><rasd:VirtualQuantity>1</rasd:VirtualQuantity></Item>
      <Item><rasd:AllocationUnits>byte * 2^20</rasd:AllocationUnits><rasd:ElementName>memory</rasd:ElementName>
        <rasd:InstanceID>2</rasd:InstanceID><rasd:ResourceType>4</rasd:ResourceType>
        <rasd:VirtualQuantity>64</rasd:VirtualQuantity></Item>
      <Item><rasd:Address>0</rasd:Address><rasd:ElementName>scsi</rasd:ElementName><rasd:InstanceID>3</rasd:InstanceID>
        <rasd:ResourceSubType>lsilogic</rasd:ResourceSubType><rasd:ResourceType>6</rasd:ResourceType></Item>
      <Item><rasd:AddressOnParent>0</rasd:AddressOnParent><rasd:ElementName>disk</rasd:ElementName>
        <rasd:HostResource>ovf:/disk/disk1</rasd:HostResource><rasd:InstanceID>4</rasd:InstanceID>
        <rasd:Parent>3</rasd:Parent><rasd:ResourceType>17</rasd:ResourceType></Item>
    </VirtualHardwareSection>
  </VirtualSystem>
</Envelope>
`;
}

function scaledOf(descriptor: string): string {
  const scale =
    '<ScaleOutSection ovf:id="small"><Info>s</Info><Description>s</Description><InstanceCount ovf:default="2" ovf:maximum="3"/></ScaleOutSection>';
  return descriptor
    .replaceAll('ovf/envelope/1"', 'ovf/envelope/2"')
    .replace(
      '<VirtualSystem ',
      `<VirtualSystemCollection ovf:id="farm"><Info>Farm</Info><Name>farm</Name>${scale}<VirtualSystem `,
    )
    .replace('</VirtualSystem>', '</VirtualSystem></VirtualSystemCollection>');
}
