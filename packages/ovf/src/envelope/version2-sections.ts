import type { DiskDescription, Extensible, LocalizedText, Section } from './section.ts';

/** Files that the guest finds beside its environment (DSP0243 2.1 9.11). */
export interface EnvironmentFilesSection extends Section {
  /** Ways to hand them over, such as `iso`. */
  readonly transports: readonly string[];
  readonly files: readonly EnvironmentFile[];
}

export interface EnvironmentFile extends Extensible {
  /** `id` of a file reference. */
  readonly fileId: string;
  /** Path on the medium, relative to its root. */
  readonly path: string;
}

/** Devices to boot from (DSP0243 2.1 9.12): CIM_BootConfigSetting. */
export interface BootDeviceSection extends Section {
  readonly configurations: readonly BootConfiguration[];
}

export interface BootConfiguration extends Extensible {
  readonly instanceId?: string;
  readonly caption?: LocalizedText;
  readonly description?: LocalizedText;
  /** In their order. */
  readonly sources: readonly BootSource[];
}

/** CIM_BootSourceSetting. */
export interface BootSource extends Extensible {
  /** InstanceID of a hardware item. */
  readonly instanceId?: string;
  readonly caption?: LocalizedText;
}

/** Disks that several virtual systems may use at once (DSP0243 2.1 9.13). */
export interface SharedDiskSection extends Section {
  readonly disks: readonly SharedDiskDescription[];
}

export interface SharedDiskDescription extends DiskDescription {
  readonly readOnly?: boolean;
}

/** How many instances of a content of the collection there are (DSP0243 2.1 9.14). */
export interface ScaleOutSection extends Section, InstanceCount {
  /** `id` of a content of the collection. */
  readonly id: string;
  readonly description?: LocalizedText;
  /** Counts that hold for some deployment options, in place of the section's own. */
  readonly optionCounts?: readonly OptionInstanceCount[];
}

/** A range of instances. */
export interface InstanceCount {
  /** 1 unless told. */
  readonly minimum?: number;
  /** The minimum unless told. */
  readonly default?: number;
  /** Any number unless told. */
  readonly maximum?: number;
}

/** `ovf:configuration` of an InstanceCount. */
export interface OptionInstanceCount extends InstanceCount {
  /** `id` of deployment options, one at least. */
  readonly configurations: readonly string[];
}

/** A group whose members are kept together or apart (DSP0243 2.1 9.15). */
export interface PlacementGroupSection extends Section {
  readonly id: string;
  /** `affinity`, `availability`, or a URI. */
  readonly policy?: string;
  readonly description?: LocalizedText;
}

/** Membership in a {@link PlacementGroupSection}. */
export interface PlacementSection extends Section {
  /** `id` of the group. */
  readonly group: string;
}

/** What of the package is encrypted (DSP0243 2.1 9.16). Its XML Encryption is in `extensions`, as it was. */
export interface EncryptionSection extends Section {
  /** Algorithms that the extensions name; read from them, not written. */
  readonly algorithms: readonly string[];
  /** URIs of the encrypted files or parts that the extensions name; read from them, not written. */
  readonly references: readonly string[];
}
