export interface DescriptorOptions {
  readonly name: string;
  readonly diskFile: string;
  readonly diskFileBytes: number;
  readonly capacityBytes: number;
  readonly memoryMegabytes: number;
}

const streamOptimized = 'http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized';

/** The OVF descriptor (DSP0243 1.1) of the appliance, with the properties that its page shows. */
export function descriptorOf(options: DescriptorOptions): string {
  const { name, diskFile, diskFileBytes, capacityBytes, memoryMegabytes } = options;
  return `<?xml version="1.0" encoding="UTF-8"?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1"
          xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"
          xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData"
          xmlns:vssd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData"
          xmlns:vmw="http://www.vmware.com/schema/ovf">
  <References>
    <File ovf:id="file1" ovf:href="${diskFile}" ovf:size="${diskFileBytes}"/>
  </References>
  <DiskSection>
    <Info>The disk of the appliance</Info>
    <Disk ovf:diskId="disk1" ovf:fileRef="file1" ovf:capacity="${capacityBytes / 1024 ** 2}"
          ovf:capacityAllocationUnits="byte * 2^20" ovf:format="${streamOptimized}"/>
  </DiskSection>
  <NetworkSection>
    <Info>The networks of the appliance</Info>
    <Network ovf:name="VM Network">
      <Description>Where the page of the appliance is shown</Description>
    </Network>
  </NetworkSection>
  <VirtualSystem ovf:id="${name}">
    <Info>A small machine with a page about itself</Info>
    <Name>${name}</Name>
    <OperatingSystemSection ovf:id="96" vmw:osType="debian11_64Guest">
      <Info>The guest operating system</Info>
      <Description>Debian GNU/Linux 64-bit</Description>
    </OperatingSystemSection>
    <ProductSection>
      <Info>About the appliance, and what may be set when it is deployed</Info>
      <Product>Hypostyle demo appliance</Product>
      <Vendor>Hypostyle</Vendor>
      <Version>1.0</Version>
      <Category>Page</Category>
      <Property ovf:key="title" ovf:type="string" ovf:qualifiers="MaxLen(80)" ovf:userConfigurable="true"
                ovf:value="Hypostyle demo appliance">
        <Label>Title</Label>
        <Description>Shown at the top of the page</Description>
      </Property>
      <Category>System</Category>
      <Property ovf:key="hostname" ovf:type="string" ovf:qualifiers="MaxLen(63)" ovf:userConfigurable="true"
                ovf:value="appliance">
        <Label>Host name</Label>
        <Description>Letters, digits, dots and hyphens</Description>
      </Property>
    </ProductSection>
    <VirtualHardwareSection ovf:transport="iso com.vmware.guestInfo">
      <Info>What the appliance runs on</Info>
      <System>
        <vssd:ElementName>Virtual Hardware Family</vssd:ElementName>
        <vssd:InstanceID>0</vssd:InstanceID>
        <vssd:VirtualSystemIdentifier>${name}</vssd:VirtualSystemIdentifier>
        <vssd:VirtualSystemType>vmx-13</vssd:VirtualSystemType>
      </System>
      <Item>
        <rasd:AllocationUnits>hertz * 10^6</rasd:AllocationUnits>
        <rasd:Description>Number of virtual CPUs</rasd:Description>
        <rasd:ElementName>1 virtual CPU</rasd:ElementName>
        <rasd:InstanceID>1</rasd:InstanceID>
        <rasd:ResourceType>3</rasd:ResourceType>
        <rasd:VirtualQuantity>1</rasd:VirtualQuantity>
      </Item>
      <Item>
        <rasd:AllocationUnits>byte * 2^20</rasd:AllocationUnits>
        <rasd:Description>Memory size</rasd:Description>
        <rasd:ElementName>${memoryMegabytes} MB of memory</rasd:ElementName>
        <rasd:InstanceID>2</rasd:InstanceID>
        <rasd:ResourceType>4</rasd:ResourceType>
        <rasd:VirtualQuantity>${memoryMegabytes}</rasd:VirtualQuantity>
      </Item>
      <Item>
        <rasd:Address>0</rasd:Address>
        <rasd:Description>SCSI controller</rasd:Description>
        <rasd:ElementName>SCSI controller 0</rasd:ElementName>
        <rasd:InstanceID>3</rasd:InstanceID>
        <rasd:ResourceSubType>VirtualSCSI</rasd:ResourceSubType>
        <rasd:ResourceType>6</rasd:ResourceType>
      </Item>
      <Item>
        <rasd:Address>0</rasd:Address>
        <rasd:Description>IDE controller, for the disc with the OVF environment</rasd:Description>
        <rasd:ElementName>IDE 0</rasd:ElementName>
        <rasd:InstanceID>4</rasd:InstanceID>
        <rasd:ResourceType>5</rasd:ResourceType>
      </Item>
      <Item ovf:required="false">
        <rasd:AddressOnParent>0</rasd:AddressOnParent>
        <rasd:AutomaticAllocation>false</rasd:AutomaticAllocation>
        <rasd:ElementName>CD/DVD drive 1</rasd:ElementName>
        <rasd:InstanceID>5</rasd:InstanceID>
        <rasd:Parent>4</rasd:Parent>
        <rasd:ResourceSubType>vmware.cdrom.remotepassthrough</rasd:ResourceSubType>
        <rasd:ResourceType>15</rasd:ResourceType>
      </Item>
      <Item>
        <rasd:AddressOnParent>0</rasd:AddressOnParent>
        <rasd:ElementName>Hard disk 1</rasd:ElementName>
        <rasd:HostResource>ovf:/disk/disk1</rasd:HostResource>
        <rasd:InstanceID>6</rasd:InstanceID>
        <rasd:Parent>3</rasd:Parent>
        <rasd:ResourceType>17</rasd:ResourceType>
      </Item>
      <Item>
        <rasd:AddressOnParent>7</rasd:AddressOnParent>
        <rasd:AutomaticAllocation>true</rasd:AutomaticAllocation>
        <rasd:Connection>VM Network</rasd:Connection>
        <rasd:Description>VmxNet3 ethernet adapter on "VM Network"</rasd:Description>
        <rasd:ElementName>Network adapter 1</rasd:ElementName>
        <rasd:InstanceID>7</rasd:InstanceID>
        <rasd:ResourceSubType>VmxNet3</rasd:ResourceSubType>
        <rasd:ResourceType>10</rasd:ResourceType>
      </Item>
      <Item ovf:required="false">
        <rasd:AutomaticAllocation>false</rasd:AutomaticAllocation>
        <rasd:ElementName>Serial port 1</rasd:ElementName>
        <rasd:InstanceID>8</rasd:InstanceID>
        <rasd:ResourceType>21</rasd:ResourceType>
      </Item>
    </VirtualHardwareSection>
    <AnnotationSection>
      <Info>A note about the appliance</Info>
      <Annotation>Built from Debian's own parts: linux-image-amd64, busybox-static and qemu-guest-agent.</Annotation>
    </AnnotationSection>
  </VirtualSystem>
</Envelope>
`;
}
