import type { OvfWarning } from '../errors.ts';
import type { XmlAttribute, XmlElement } from '../xml/xml-tree.ts';
import type { DiskDescription, Extensible, LocalizedText, Section } from './section.ts';
import type {
  BootDeviceSection,
  EncryptionSection,
  EnvironmentFilesSection,
  PlacementGroupSection,
  PlacementSection,
  ScaleOutSection,
  SharedDiskSection,
} from './version2-sections.ts';
import type { BootOrderSection, IpAssignmentSection, StorageGroupSection, StorageSection } from './vmware-sections.ts';

export type * from './section.ts';

/** Version of the envelope's schema; 0.9 is the draft of VMware's first tools and is written back as 1.x. */
export type EnvelopeVersion = '0.9' | '1' | '2';

export interface Envelope extends Extensible {
  readonly version: EnvelopeVersion;
  /** Language of the texts (`xml:lang`), such as `en-US`. */
  readonly language?: string;
  readonly files: readonly FileReference[];
  readonly diskSection?: DiskSection;
  readonly networkSection?: NetworkSection;
  readonly deploymentOptionSection?: DeploymentOptionSection;
  /** 2.x: groups that PlacementSections name. */
  readonly placementGroups?: readonly PlacementGroupSection[];
  /** 2.x: disks that several virtual systems write to. */
  readonly sharedDiskSection?: SharedDiskSection;
  /** 2.x: what of the package is encrypted. */
  readonly encryption?: EncryptionSection;
  /** VMware: how the package can be given addresses. */
  readonly ipAssignment?: IpAssignmentSection;
  /** VMware: storage policies that StorageSections name. */
  readonly storageGroups?: readonly StorageGroupSection[];
  readonly otherSections: readonly UnknownSection[];
  /** Names of the sections in their order, `*` for another one; new ones are written behind these. */
  readonly order?: readonly string[];
  readonly content: Content;
  readonly strings: readonly StringBundle[];
  /** What was tolerated while reading; not written. */
  readonly warnings: readonly OvfWarning[];
}

/** `References/File` (DSP0243 7.1). */
export interface FileReference extends Extensible {
  readonly id: string;
  readonly href: string;
  /** Stored size in bytes, of all chunks together. */
  readonly size?: number;
  readonly compression?: 'identity' | 'gzip';
  /** Bytes in each stored chunk but the last: chunks are named `href.000000000`, `href.000000001` … */
  readonly chunkSize?: number;
}

/** A section that this package does not read: kept as it was. */
export interface UnknownSection {
  readonly namespace: string;
  readonly name: string;
  readonly required: boolean;
  readonly element: XmlElement;
}

/** DSP0243 9.1. */
export interface DiskSection extends Section {
  readonly disks: readonly DiskDescription[];
}

/** DSP0243 9.2. */
export interface NetworkSection extends Section {
  readonly networks: readonly NetworkDescription[];
}

export interface NetworkDescription extends Extensible {
  readonly name: string;
  readonly description?: LocalizedText;
}

/** DSP0243 9.8. */
export interface DeploymentOptionSection extends Section {
  readonly configurations: readonly DeploymentConfiguration[];
}

export interface DeploymentConfiguration extends Extensible {
  readonly id: string;
  readonly label: LocalizedText;
  readonly description: LocalizedText;
  readonly isDefault?: boolean;
}

export type Content = VirtualSystem | VirtualSystemCollection;

interface ContentBase extends Extensible {
  readonly id: string;
  readonly info: LocalizedText;
  readonly name?: LocalizedText;
  readonly annotations: readonly AnnotationSection[];
  readonly products: readonly ProductSection[];
  readonly eulas: readonly EulaSection[];
  /** 2.x: files handed over with the environment. */
  readonly environmentFiles?: EnvironmentFilesSection;
  /** 2.x: placement groups that this content is in. */
  readonly placements?: readonly PlacementSection[];
  /** VMware: how it can be given addresses, when the envelope does not say it for all. */
  readonly ipAssignment?: IpAssignmentSection;
  /** VMware: storage policies that it asks for. */
  readonly storage?: readonly StorageSection[];
  readonly otherSections: readonly UnknownSection[];
  /** Names of the sections in their order, `*` for another one; new ones are written behind these. */
  readonly order?: readonly string[];
}

export interface VirtualSystem extends ContentBase {
  readonly kind: 'VirtualSystem';
  readonly operatingSystem?: OperatingSystemSection;
  /** Alternatives, usually one (DSP0243 8.1). */
  readonly hardware: readonly VirtualHardwareSection[];
  readonly install?: InstallSection;
  /** 2.x: devices to boot from, in their order. */
  readonly bootDevices?: BootDeviceSection;
  /** VMware: devices to boot from, in their order. */
  readonly bootOrder?: readonly BootOrderSection[];
}

export interface VirtualSystemCollection extends ContentBase {
  readonly kind: 'VirtualSystemCollection';
  readonly startup?: StartupSection;
  readonly resourceAllocation?: ResourceAllocationSection;
  /** 2.x: how often children are deployed. */
  readonly scaleOut?: readonly ScaleOutSection[];
  readonly contents: readonly Content[];
}

/** DSP0243 9.4. */
export interface AnnotationSection extends Section {
  readonly annotation: LocalizedText;
}

/** DSP0243 9.6. */
export interface EulaSection extends Section {
  readonly license: LocalizedText;
}

/** DSP0243 9.9. */
export interface OperatingSystemSection extends Section {
  /** CIM_OperatingSystem.OsType. */
  readonly id: number;
  readonly version?: string;
  /** `vmw:osType`: a VirtualMachineGuestOsIdentifier. */
  readonly vmwareType?: string;
  readonly description?: LocalizedText;
}

/** DSP0243 9.10. */
export interface InstallSection extends Section {
  /** Seconds to wait for the power off after the first boot. */
  readonly initialBootStopDelay?: number;
}

/** DSP0243 9.7. */
export interface StartupSection extends Section {
  readonly items: readonly StartupItem[];
}

export interface StartupItem extends Extensible {
  /** `id` of a content of the collection. */
  readonly id: string;
  readonly order: number;
  /** Seconds. */
  readonly startDelay?: number;
  readonly waitingForGuest?: boolean;
  /** `powerOn` or `none`; absent means `powerOn`. Another one is unknown to the standard. */
  readonly startAction?: string;
  /** Seconds. */
  readonly stopDelay?: number;
  /** `powerOff`, `guestShutdown` or `none`; absent means `powerOff`. Another one, such as `suspend`, is unknown to the standard. */
  readonly stopAction?: string;
}

/** DSP0243 9.3. */
export interface ResourceAllocationSection extends Section {
  readonly items: readonly HardwareItem[];
}

/** DSP0243 9.5. */
export interface ProductSection extends Section {
  readonly class?: string;
  readonly instance?: string;
  readonly product?: LocalizedText;
  readonly vendor?: LocalizedText;
  readonly version?: string;
  readonly fullVersion?: string;
  readonly productUrl?: string;
  readonly vendorUrl?: string;
  readonly appUrls?: readonly string[];
  readonly icons?: readonly ProductIcon[];
  readonly properties: readonly ProductProperty[];
  /** Headings with no property below them. */
  readonly unusedCategories?: readonly LocalizedText[];
}

export interface ProductIcon extends Extensible {
  readonly fileId: string;
  readonly height?: number;
  readonly width?: number;
  readonly mimeType?: string;
}

export interface ProductProperty extends Extensible {
  readonly key: string;
  /** One of {@link propertyTypes}, in any letter case. */
  readonly type: string;
  readonly qualifiers?: string;
  readonly userConfigurable?: boolean;
  readonly value?: string;
  /** A value must be given (2.x). */
  readonly required?: boolean;
  readonly password?: boolean;
  readonly label?: LocalizedText;
  readonly description?: LocalizedText;
  /** Values for deployment options; one without `configuration` is the default. */
  readonly values?: readonly PropertyValue[];
  /** Heading above it. Properties that share the object share the heading. */
  readonly category?: LocalizedText;
}

export interface PropertyValue extends Extensible {
  readonly value: string;
  readonly configuration?: string;
}

/** Types of a property (DSP0243 table 7), and the two that VMware's tools write besides. */
export const propertyTypes = [
  'boolean',
  'string',
  'uint8',
  'sint8',
  'uint16',
  'sint16',
  'uint32',
  'sint32',
  'uint64',
  'sint64',
  'real32',
  'real64',
  'int',
  'real',
] as const;

/** DSP0243 8.1. */
export interface VirtualHardwareSection extends Section {
  readonly id?: string;
  /** Ways to hand over the environment, such as `iso` and `com.vmware.guestInfo`. */
  readonly transports: readonly string[];
  readonly system?: SystemSettings;
  readonly items: readonly HardwareItem[];
  readonly config: readonly ConfigEntry[];
  readonly extraConfig: readonly ConfigEntry[];
}

/** CIM_VirtualSystemSettingData. */
export interface SystemSettings extends Extensible {
  readonly instanceId?: string;
  readonly elementName?: string;
  readonly identifier?: string;
  /** Space or comma separated families, such as `vmx-15`. */
  readonly type?: string;
}

/** `vmw:Config` or `vmw:ExtraConfig`. */
export interface ConfigEntry {
  readonly key: string;
  readonly value: string;
  /** `ovf:required`; absent means true. */
  readonly required?: boolean;
  readonly attributes?: readonly XmlAttribute[];
}

/** CIM_ResourceAllocationSettingData, and its kinds for storage and Ethernet ports in 2.x. */
export interface HardwareItem extends Extensible {
  readonly element: 'Item' | 'StorageItem' | 'EthernetPortItem';
  /** `ovf:required`; absent means true. */
  readonly required?: boolean;
  /** Deployment options that the item is for; absent for all. */
  readonly configurations?: readonly string[];
  readonly bound?: 'min' | 'max' | 'normal';
  readonly instanceId: string;
  readonly resourceType: number;
  readonly resourceSubType?: string;
  readonly otherResourceType?: string;
  readonly elementName?: LocalizedText;
  readonly caption?: LocalizedText;
  readonly description?: LocalizedText;
  readonly address?: string;
  readonly addressOnParent?: string;
  readonly allocationUnits?: string;
  readonly automaticAllocation?: boolean;
  readonly automaticDeallocation?: boolean;
  readonly changeableType?: number;
  readonly configurationName?: string;
  readonly connections?: readonly string[];
  readonly consumerVisibility?: number;
  readonly hostResources?: readonly string[];
  readonly limit?: number;
  readonly mappingBehavior?: number;
  readonly parent?: string;
  readonly poolId?: string;
  readonly reservation?: number;
  readonly virtualQuantity?: number;
  readonly virtualQuantityUnits?: string;
  readonly weight?: number;
  /** `vmw:CoresPerSocket`. */
  readonly coresPerSocket?: number;
  readonly config?: readonly ConfigEntry[];
  readonly extraConfig?: readonly ConfigEntry[];
  /** Attributes of the item's own elements, such as vCloud's of Connection; kept to be written back. */
  readonly settingAttributes?: readonly SettingAttributes[];
}

/** Attributes of one element of an item. */
export interface SettingAttributes {
  /** Name of the element, such as `Connection`. */
  readonly name: string;
  /** Which of the elements of that name, from 0. */
  readonly index: number;
  readonly attributes: readonly XmlAttribute[];
}

/** `Strings` (DSP0243 10): messages of one language, here or in a file of the package. */
export interface StringBundle extends Extensible {
  readonly language?: string;
  readonly fileId?: string;
  readonly messages: Readonly<Record<string, string>>;
}
