import type { GuestData } from './guest-data.ts';

/** A virtual machine's hardware as a hypervisor must build it. Sizes say their unit in their name. */
export interface MachineHardware {
  /** SMBIOS UUID, lower-case 8-4-4-4-12. */
  readonly uuid: string;
  /** Shown in the engine's window title and process name; not unique. */
  readonly name: string;
  readonly firmware: 'bios' | 'efi';
  /** Number of virtual processors, 1 or more. */
  readonly cpus: number;
  readonly coresPerSocket: number;
  readonly memoryMiB: number;
  /** VMware's guest identifier (VirtualMachineGuestOsIdentifier), for choices a guest needs: clock, CPU flags. */
  readonly guestId: string;
  readonly controllers: readonly ControllerHardware[];
  readonly disks: readonly DiskHardware[];
  readonly cdroms: readonly CdromHardware[];
  readonly nics: readonly NicHardware[];
  readonly serials: readonly SerialHardware[];
  /** Two at most; none when left out. */
  readonly floppies?: readonly FloppyHardware[];
  /** USB controllers; one of USB 3 has a keyboard and an absolute pointer at its ports. */
  readonly usb?: UsbHardware;
  readonly sound?: SoundModel;
  /** A TPM 2.0, for EFI: where the driver has the capability `tpm`. Its state is in a file that is made when missing, absolute path. */
  readonly tpm?: { readonly statePath: string };
  /** Of the video card, a power of two from 1 to 256; 16 when left out. */
  readonly videoMemoryMiB?: number;
  /** What the machine may grow to while it runs; not at all when left out. */
  readonly hotPlug?: { readonly maxCpus: number; readonly maxMemoryMiB: number };
  readonly balloon: boolean;
  readonly rng: boolean;
  /** VMware's backdoor port 0x5658. */
  readonly vmport: boolean;
  readonly guestAgent: boolean;
  /** Where the driver has the capability `guestData`; nothing when left out. */
  readonly guestData?: readonly GuestData[];
  /** Devices in the order in which firmware tries them; by `id` of a disk, CD-ROM or NIC. */
  readonly bootOrder: readonly string[];
  /** Enter the firmware's setup at the next start. */
  readonly enterSetup?: boolean;
  /** How long a BIOS waits before it boots. */
  readonly bootDelayMilliseconds?: number;
  /** When a BIOS that found nothing to boot tries again; never when left out. */
  readonly bootRetryMilliseconds?: number;
  /**
   * File that keeps EFI variables, absolute path; made when missing. One of another maker is left alone, and the
   * driver's own takes its name with a suffix.
   */
  readonly nvramPath: string;
  /** `yes`: clock in UTC, else local time. */
  readonly clock: 'utc' | 'localtime';
}

export const controllerModels = ['ide', 'ahci', 'buslogic', 'lsilogic', 'lsisas1068', 'pvscsi', 'nvme'] as const;
export type ControllerModel = (typeof controllerModels)[number];

export interface ControllerHardware {
  /** Unique in the machine, such as `scsi0`. All ids: a letter, then up to 30 letters, digits, `.`, `_` and `-`. */
  readonly id: string;
  readonly model: ControllerModel;
  /** Bus number within the family, from 0. */
  readonly bus: number;
}

/** One layer of a disk's block graph, by absolute path. */
export interface BlockLayer {
  readonly format: 'raw' | 'qcow2' | 'vmdk';
  readonly path: string;
  /** First byte of the image within `path`, for a disk inside an archive. */
  readonly offset?: number;
  /** Length in bytes from `offset`. */
  readonly length?: number;
  /**
   * Image made by `ImageTool.createChangeLayer` through which a raw file is written, absolute path: it keeps what
   * changed and none of the bytes. Whoever writes the file has to name it.
   */
  readonly changesPath?: string;
}

export interface DiskHardware {
  readonly id: string;
  readonly controllerId: string;
  readonly unit: number;
  /** Top first; the last one is the base. Only the first is ever written. */
  readonly layers: readonly BlockLayer[];
  readonly readOnly: boolean;
  /** Writes are dropped at power-off (independent_nonpersistent). */
  readonly discardWrites: boolean;
  /** The guest sees a disk without a cache of its own: what it writes is durable when it is told so. */
  readonly writeThrough?: boolean;
  /**
   * Other engines may write it at the same time, which know of it as well: one layer of raw bytes. Where the driver has
   * the capability `sharedDisks`.
   */
  readonly shared?: boolean;
  /**
   * At a block that cannot be read the machine stands still, instead of the guest being told: `disk-error` says so.
   * Of NVMe disks guests are told all the same.
   */
  readonly pauseOnReadError?: boolean;
  /** Reads and writes that it is granted a second, 1 or more; as many as it can when left out. */
  readonly operationsPerSecond?: number;
  /** Up to 20 printable characters. */
  readonly serial?: string;
}

export interface CdromHardware {
  readonly id: string;
  readonly controllerId: string;
  readonly unit: number;
  /** ISO image, absolute path; none is an empty drive. */
  readonly path?: string;
}

export interface FloppyHardware {
  readonly id: string;
  /** 0 or 1. */
  readonly unit: number;
  /** Image, absolute path; none is an empty drive. */
  readonly path?: string;
}

export interface UsbHardware {
  /** USB 1. */
  readonly uhci: boolean;
  /** USB 2. */
  readonly ehci: boolean;
  /** USB 3. */
  readonly xhci: boolean;
}

export const soundModels = ['sb16', 'es1371', 'hdaudio'] as const;
export type SoundModel = (typeof soundModels)[number];

export const nicModels = ['vlance', 'e1000', 'e1000e', 'vmxnet3', 'virtio'] as const;
export type NicModel = (typeof nicModels)[number];

export interface NicHardware {
  readonly id: string;
  readonly model: NicModel;
  /** Six octets with colons, lower-case. */
  readonly mac: string;
  readonly connected: boolean;
  readonly network: NicNetwork;
  /** Bits that it is granted a second, each way, 1 or more; as many as it can when left out. Where the driver has the capability `nicLimits`. */
  readonly bitsPerSecond?: number;
  /** Place among the adapters, 0 to 9, so that it stays where it is when others come or go; its index when left out. */
  readonly slot?: number;
}

/** Where a NIC's frames go: `nat` is user-mode address translation with forwards from the host. */
export type NicNetwork =
  | { readonly kind: 'none' }
  | { readonly kind: 'nat'; readonly forwards: readonly PortForward[] };

export interface PortForward {
  readonly protocol: 'tcp' | 'udp';
  /** IPv4 address on the host, such as 127.0.0.1. */
  readonly hostAddress: string;
  readonly hostPort: number;
  readonly guestPort: number;
}

export interface SerialHardware {
  readonly id: string;
  /** Where everything that the guest writes is appended, absolute path; a viewer gets it live from a socket. */
  readonly logPath?: string;
}
