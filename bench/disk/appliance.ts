import { createReadStream, createWriteStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { writeOva } from '@hypostyle/ovf';

/** Packs a streamOptimized disk as an OVA with a manifest. */
export async function packAppliance(disk: string, virtualBytes: number, ova: string): Promise<void> {
  const { size } = await stat(disk);
  const descriptor = `<?xml version="1.0" encoding="UTF-8"?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1">
  <References><File ovf:id="file1" ovf:href="disk.vmdk" ovf:size="${size}"/></References>
  <DiskSection><Info>Disks</Info>
    <Disk ovf:diskId="disk1" ovf:fileRef="file1" ovf:capacity="${virtualBytes}"
      ovf:format="http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"/>
  </DiskSection>
  <VirtualSystem ovf:id="bench"><Info>A machine</Info>
    <VirtualHardwareSection><Info>Hardware</Info></VirtualHardwareSection>
  </VirtualSystem>
</Envelope>
`;
  await writeOva(createWriteStream(ova), {
    descriptorName: 'bench.ovf',
    descriptor,
    files: [{ name: 'disk.vmdk', size, open: () => createReadStream(disk, { highWaterMark: 2 ** 20 }) }],
    manifestAt: 'start',
  });
}
