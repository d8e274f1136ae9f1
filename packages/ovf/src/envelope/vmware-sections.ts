import type { LocalizedText, Section } from './section.ts';

/** `vmw:IpAssignmentSection`: how the guest can be given addresses. */
export interface IpAssignmentSection extends Section {
  /** `IPv4`, `IPv6`. */
  readonly protocols: readonly string[];
  /** `dhcp`, `ovfenv`. */
  readonly schemes: readonly string[];
}

/** `vmw:BootOrderSection`: one device to boot from; several stand in their order. */
export interface BootOrderSection extends Section {
  /** InstanceID of a hardware item. */
  readonly instanceId: string;
  /** `disk`, `cdrom`, `net`, `floppy`. */
  readonly type?: string;
}

/** `vmw:StorageGroupSection`: a storage policy. */
export interface StorageGroupSection extends Section {
  readonly id: string;
  readonly name?: string;
  readonly description?: LocalizedText;
}

/** `vmw:StorageSection`: the storage policy that a content asks for. */
export interface StorageSection extends Section {
  /** `id` of a {@link StorageGroupSection}. */
  readonly group?: string;
}
