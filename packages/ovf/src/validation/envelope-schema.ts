import { parseSchema } from './schema-language.ts';

/** Attributes and elements that all sections have. */
const common = `
Envelope_Type = References:References_Type Section* Content Strings:Strings_Type*
References_Type = File:File_Type* other*
File_Type = other* @ id! href!:anyURI size:unsignedLong compression chunkSize:long
VirtualSystem_Type = Info:Msg_Type Name:Msg_Type? Section* @ id!
VirtualSystemCollection_Type = Info:Msg_Type Name:Msg_Type? Section* Content* @ id!
Strings_Type = Msg:StringsMsg_Type* @ fileRef
StringsMsg_Type = text @ msgid!
Msg_Type = text @ msgid
AnnotationSection_Type = Info:Msg_Type Annotation:Msg_Type other* @ required:boolean
ProductSection_Type = Info:Msg_Type Product:Msg_Type? Vendor:Msg_Type? Version:text? FullVersion:text? ProductUrl:text? VendorUrl:text? AppUrl:text? Icon:Icon_Type* (Category:Msg_Type|Property:Property_Type)* other* @ required:boolean class instance
Icon_Type = @ height:unsignedShort width:unsignedShort mimeType fileRef!
PropertyValue_Type = other* @ value! configuration
NetworkSection_Type = Info:Msg_Type Network:Network_Type* other* @ required:boolean
DiskSection_Type = Info:Msg_Type Disk:Disk_Type* other* @ required:boolean
Disk_Type = other* @ diskId! fileRef capacity! capacityAllocationUnits format populatedSize:long parentRef
OperatingSystemSection_Type = Info:Msg_Type Description:Msg_Type? other* @ required:boolean id!:unsignedShort version
EulaSection_Type = Info:Msg_Type License:Msg_Type other* @ required:boolean
InstallSection_Type = Info:Msg_Type other* @ required:boolean initialBootStopDelay:unsignedShort
StartupSection_Type = Info:Msg_Type Item:StartupItem_Type* other* @ required:boolean
StartupItem_Type = @ id! order!:long startDelay:long waitingForGuest:boolean stopDelay:long startAction stopAction
DeploymentOptionSection_Type = Info:Msg_Type Configuration:Configuration_Type+ other* @ required:boolean
Configuration_Type = Label:Msg_Type Description:Msg_Type @ id! default:boolean
SecuritySection_Type = Info:Msg_Type Security:Security_Type* other* @ required:boolean
Security_Type = Description:Msg_Type? @ name!
System_Type vssd = AutomaticRecoveryAction:unsignedShort? AutomaticShutdownAction:unsignedShort? AutomaticStartupAction:unsignedShort? AutomaticStartupActionDelay:any? AutomaticStartupActionSequenceNumber:unsignedShort? Caption:caption? ChangeableType:changeable? ConfigurationDataRoot:text? ConfigurationFile:text? ConfigurationID:text? ConfigurationName:text? CreationTime:any? Description:text? ElementName:text~ Generation:unsignedLong? InstanceID:text~ LogDataRoot:text? Notes:text* RecoveryFile:text? SnapshotDataRoot:text? SuspendDataRoot:text? SwapFileDataRoot:text? VirtualSystemIdentifier:text? VirtualSystemType:text? other*
Item_Type rasd = Address:text? AddressOnParent:text? AllocationUnits:text? AutomaticAllocation:boolean? AutomaticDeallocation:boolean? Caption:caption? ChangeableType:changeable? ConfigurationName:text? Connection:text* ConsumerVisibility:unsignedShort? Description:text? ElementName:text Generation:unsignedLong? HostResource:text* InstanceID:text Limit:unsignedLong? MappingBehavior:unsignedShort? OtherResourceType:text? Parent:text? PoolID:text? Reservation:unsignedLong? ResourceSubType:text? ResourceType:unsignedShort? VirtualQuantity:unsignedLong? VirtualQuantityUnits:text? Weight:unsignedInt? other* @ required:boolean configuration bound
ResourceAllocationSection_Type = Info:Msg_Type Item:Item_Type* other* @ required:boolean
`;

const sections =
  'group Section = AnnotationSection:AnnotationSection_Type ProductSection:ProductSection_Type NetworkSection:NetworkSection_Type DiskSection:DiskSection_Type OperatingSystemSection:OperatingSystemSection_Type EulaSection:EulaSection_Type VirtualHardwareSection:VirtualHardwareSection_Type ResourceAllocationSection:ResourceAllocationSection_Type InstallSection:InstallSection_Type StartupSection:StartupSection_Type DeploymentOptionSection:DeploymentOptionSection_Type';
const contents =
  'group Content = VirtualSystem:VirtualSystem_Type VirtualSystemCollection:VirtualSystemCollection_Type';

/** DSP8023 1.x with the CIM classes that it imports, and `VirtualQuantityUnits`, which CIM has since 2.22. */
export const envelopeSchema1 = parseSchema(`${common}
Property_Type = Label:Msg_Type? Description:Msg_Type? Value:PropertyValue_Type* @ key! type! qualifiers userConfigurable:boolean value
Network_Type = Description:Msg_Type? @ name!
VirtualHardwareSection_Type = Info:Msg_Type System:System_Type? Item:Item_Type* other* @ required:boolean transport
${sections} SecuritySection:SecuritySection_Type
${contents}
`);

/** The envelope of 2.x by the text of DSP0243 2.1: that of 1.x with its new sections and items. */
export const envelopeSchema2 = parseSchema(`${common}
Property_Type = Label:Msg_Type? Description:Msg_Type? Value:PropertyValue_Type* other* @ key! type! qualifiers userConfigurable:boolean value required:boolean password:boolean
Network_Type = Description:Msg_Type? NetworkPortProfile:any* NetworkPortProfileURI:text* other* @ name!
VirtualHardwareSection_Type = Info:Msg_Type System:System_Type? (Item:Item_Type|StorageItem:StorageItem_Type|EthernetPortItem:EthernetPortItem_Type)* other* @ required:boolean transport id
StorageItem_Type sasd = Access:unsignedShort? Address:text? AddressOnParent:text? AllocationUnits:text? AutomaticAllocation:boolean? AutomaticDeallocation:boolean? Caption:caption? ChangeableType:changeable? ComponentSetting:any* ConfigurationName:text? Connection:text* ConsumerVisibility:unsignedShort? Description:text? ElementName:text Generation:unsignedLong? HostExtentName:text? HostExtentNameFormat:unsignedShort? HostExtentNameNamespace:unsignedShort? HostExtentStartingAddress:unsignedLong? HostResource:text* HostResourceBlockSize:unsignedLong? InstanceID:text Limit:unsignedLong? MappingBehavior:unsignedShort? OtherHostExtentNameFormat:text? OtherHostExtentNameNamespace:text? OtherResourceType:text? Parent:text? PoolID:text? Reservation:unsignedLong? ResourceSubType:text? ResourceType:unsignedShort? VirtualQuantity:unsignedLong? VirtualQuantityUnits:text? VirtualResourceBlockSize:unsignedLong? Weight:unsignedInt? other* @ required:boolean configuration bound
EthernetPortItem_Type epasd = Address:text? AddressOnParent:text? AllocationUnits:text? AllowedPriorities:unsignedShort* AllowedToReceiveMACAddresses:text* AllowedToReceiveVLANs:unsignedShort* AllowedToTransmitMACAddresses:text* AllowedToTransmitVLANs:unsignedShort* AutomaticAllocation:boolean? AutomaticDeallocation:boolean? Caption:caption? ChangeableType:changeable? ComponentSetting:any* ConfigurationName:text? Connection:text* ConsumerVisibility:unsignedShort? DefaultPortVID:unsignedShort? DefaultPriority:unsignedShort? Description:text? DesiredEndpointMode:unsignedShort? DesiredVLANEndpointMode:unsignedShort? ElementName:text Generation:unsignedLong? GroupID:unsignedInt? HostResource:text* InstanceID:text Limit:unsignedLong? ManagerID:unsignedInt? MappingBehavior:unsignedShort? NetworkPortProfileID:text* NetworkPortProfileIDType:unsignedShort? OtherEndpointMode:text? OtherNetworkPortProfileIDTypeInfo:text? OtherResourceType:text? Parent:text? PoolID:text? PortCorrelationID:text? PortVID:unsignedShort? Promiscuous:boolean? ReceiveBandwidthLimit:unsignedLong? ReceiveBandwidthReservation:unsignedLong? Reservation:unsignedLong? ResourceSubType:text? ResourceType:unsignedShort? SourceMACFilteringEnabled:boolean? VSITypeID:unsignedInt? VSITypeIDVersion:unsignedShort? VirtualQuantity:unsignedLong? VirtualQuantityUnits:text? Weight:unsignedInt? other* @ required:boolean configuration bound
EnvironmentFilesSection_Type = Info:Msg_Type File:EnvironmentFile_Type* other* @ required:boolean transport
EnvironmentFile_Type = other* @ fileRef! path!
BootDeviceSection_Type = Info:Msg_Type other* @ required:boolean
SharedDiskSection_Type = Info:Msg_Type SharedDisk:SharedDisk_Type* other* @ required:boolean
SharedDisk_Type = other* @ diskId! fileRef capacity! capacityAllocationUnits format populatedSize:long parentRef readOnly:boolean
ScaleOutSection_Type = Info:Msg_Type Description:Msg_Type? InstanceCount:InstanceCount_Type+ other* @ required:boolean id!
InstanceCount_Type = @ default:unsignedInt minimum:unsignedInt maximum:unsignedInt configuration
PlacementGroupSection_Type = Info:Msg_Type Description:Msg_Type? other* @ required:boolean id! policy
PlacementSection_Type = Info:Msg_Type other* @ required:boolean group!
EncryptionSection_Type = Info:Msg_Type other* @ required:boolean
${sections} EnvironmentFilesSection:EnvironmentFilesSection_Type BootDeviceSection:BootDeviceSection_Type SharedDiskSection:SharedDiskSection_Type ScaleOutSection:ScaleOutSection_Type PlacementGroupSection:PlacementGroupSection_Type PlacementSection:PlacementSection_Type EncryptionSection:EncryptionSection_Type
${contents}
`);
