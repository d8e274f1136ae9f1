import type { DiskDescription, FileReference, HardwareItem } from '../envelope/envelope.ts';
import type { OvfWarning } from '../errors.ts';
import type { ControllerModel, NicModel } from './hardware-models.ts';

/** A virtual machine's hardware as a deployer needs it, resolved from a VirtualHardwareSection. */
export interface HardwareDescription {
  /** Deployment option that it was resolved for; absent when the envelope has none. */
  readonly configuration?: string;
  /** Families that the section is for, such as `vmx-15`. */
  readonly systemTypes: readonly string[];
  /** Highest NN of `vmx-NN` among them. */
  readonly hardwareVersion?: number;
  readonly cpus: number;
  readonly coresPerSocket: number;
  readonly memoryMiB: number;
  /** Least and most that the descriptor allows, where it says. */
  readonly cpuRange: QuantityRange;
  /** In MiB. */
  readonly memoryRangeMiB: QuantityRange;
  readonly cpuAllocation: ResourceAllocation;
  readonly memoryAllocation: ResourceAllocation;
  readonly controllers: readonly ControllerDescription[];
  readonly disks: readonly DiskDevice[];
  readonly cdroms: readonly MediaDevice[];
  readonly floppies: readonly MediaDevice[];
  readonly nics: readonly NicDevice[];
  readonly serials: readonly PortDevice[];
  readonly parallels: readonly PortDevice[];
  /** Display, sound, USB, VMCI and other devices that are said but need no resolving. */
  readonly otherDevices: readonly OtherDevice[];
  readonly firmware: 'bios' | 'efi';
  readonly secureBoot: boolean;
  /** `vmw:Config` of the section by key. */
  readonly config: Readonly<Record<string, string>>;
  /** `vmw:ExtraConfig` of the section by key: entries for the .vmx. */
  readonly extraConfig: Readonly<Record<string, string>>;
  /** How the environment is handed over: `iso`, `com.vmware.guestInfo`. */
  readonly transports: readonly string[];
  /** What was left out or changed, such as an optional device that is not supported. */
  readonly warnings: readonly OvfWarning[];
}

export interface QuantityRange {
  readonly minimum?: number;
  readonly maximum?: number;
}

/** Shares of the host: CPU in MHz, memory in MiB. */
export interface ResourceAllocation {
  readonly reservation?: number;
  readonly limit?: number;
  readonly weight?: number;
}

/** What every device has of its item. */
export interface DeviceBase {
  readonly instanceId: string;
  /** ElementName, else Caption. */
  readonly label: string;
  /** The device may be left out. */
  readonly optional: boolean;
  /** `vmw:Config` of the item by key, such as `slotInfo.pciSlotNumber`. */
  readonly config: Readonly<Record<string, string>>;
}

export interface ControllerDescription extends DeviceBase {
  readonly model: ControllerModel;
  readonly family: 'ide' | 'scsi' | 'sata' | 'nvme';
  /** Number within the family, from 0. */
  readonly bus: number;
}

/** Where on which controller a device is. */
export interface DevicePlace {
  /** `instanceId` of a {@link ControllerDescription}. */
  readonly controller: string;
  readonly unit: number;
}

export interface DiskDevice extends DeviceBase, DevicePlace {
  /** What it is a copy of: a disk of the DiskSection or, for a raw file, none. */
  readonly disk?: DiskDescription;
  /** The file with its content; absent for an empty disk. */
  readonly file?: FileReference;
  /** Bytes; absent when a property gives it, or only the file's format tells. */
  readonly capacity?: number;
  /** Property that gives the capacity, and the unit to multiply it by. */
  readonly capacityProperty?: { readonly key: string; readonly unit: string };
}

export interface MediaDevice extends DeviceBase, Partial<DevicePlace> {
  /** Image in the package; absent for an empty drive. */
  readonly file?: FileReference;
  /** Connected at power-on. */
  readonly connected: boolean;
}

export interface NicDevice extends DeviceBase {
  readonly model: NicModel;
  /** Name in the NetworkSection; absent when the NIC is on none. */
  readonly network?: string;
  /** Six octets with colons, lower-case; absent when one is to be generated. */
  readonly mac?: string;
  readonly connected: boolean;
}

export interface PortDevice extends DeviceBase {
  readonly connected: boolean;
}

export interface OtherDevice extends DeviceBase {
  readonly kind: 'display' | 'sound' | 'usb' | 'vmci' | 'tpm' | 'other';
  readonly item: HardwareItem;
}
