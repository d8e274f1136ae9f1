import type { ControllerModel, NicModel } from '@hypostyle/contracts';

/**
 * A virtual machine's configuration as typed values: what its `.vmx` says, less what we do not know.
 *
 * Device keys are those that VMware gives, so that clients which know them by heart find them.
 */
export interface MachineConfiguration {
  readonly name: string;
  /** `uuid.bios`, lower-case 8-4-4-4-12. */
  readonly uuid: string;
  /** `vc.uuid`. */
  readonly instanceUuid: string;
  /** VMware's identifier with the word Guest, such as `debian11_64Guest`. */
  readonly guestId: string;
  /** Virtual hardware version, such as 19. */
  readonly hardwareVersion: number;
  readonly annotation: string;
  readonly firmware: 'bios' | 'efi';
  readonly secureBoot: boolean;
  readonly cpus: number;
  readonly coresPerSocket: number;
  readonly memoryMiB: number;
  readonly cpuHotAdd: boolean;
  readonly memoryHotAdd: boolean;
  /** File name in the machine's folder. */
  readonly nvram: string;
  readonly controllers: readonly Controller[];
  readonly disks: readonly Disk[];
  readonly cdroms: readonly Cdrom[];
  readonly nics: readonly Nic[];
  readonly serials: readonly Serial[];
  readonly floppies: readonly Floppy[];
  /** Boot order by device class, as `bios.bootOrder` has it; empty is the firmware's own. */
  readonly bootOrder: readonly ('disk' | 'cdrom' | 'ethernet' | 'floppy')[];
  /** Keys of the disks that are tried, in this order, where `bootOrder` has disks; empty is all, as they are. */
  readonly bootDisks: readonly number[];
  /** Keys of the adapters that are tried, in this order, where `bootOrder` has Ethernet; empty is all. */
  readonly bootNics: readonly number[];
  readonly enterSetup: boolean;
  readonly bootDelayMilliseconds: number;
  readonly cpuAllocation: Allocation;
  readonly memoryAllocation: Allocation;
  /** What changes on its disks is told, from the next start or snapshot on. */
  readonly changeTracking: boolean;
  readonly template: boolean;
  /** The folder has a vApp configuration beside the `.vmx`. */
  readonly hasVApp: boolean;
  /** Keys that are not part of the above, as written. */
  readonly extra: readonly (readonly [key: string, value: string])[];
}

export interface Allocation {
  /** MHz or MiB. */
  readonly reservation: number;
  /** MHz or MiB; -1 is none. */
  readonly limit: number;
  readonly level: 'low' | 'normal' | 'high' | 'custom';
  readonly shares: number;
}

export type ControllerFamily = 'ide' | 'scsi' | 'sata' | 'nvme';

export interface Controller {
  readonly key: number;
  readonly family: ControllerFamily;
  readonly model: ControllerModel;
  readonly bus: number;
  /** Disks of a SCSI bus may be written by machines of this host, or of any; by this one alone when left out. */
  readonly sharedBus?: 'virtual' | 'physical';
}

export interface Disk {
  readonly key: number;
  readonly controllerKey: number;
  readonly unit: number;
  /** As in the `.vmx`: relative to the folder, or absolute. */
  readonly fileName: string;
  readonly mode: 'persistent' | 'independent_persistent' | 'independent_nonpersistent';
  readonly writeThrough: boolean;
  /** What changes on it is told, on a machine whose changes are. */
  readonly tracked: boolean;
  /** Other machines may run with it and write it at the same time (`sharingMultiWriter`). */
  readonly multiWriter?: boolean;
  /** What it may use of what disks can do; everything, with normal shares, when left out. */
  readonly io?: DiskIo;
}

export interface DiskIo {
  /** Reads and writes a second; -1 is none. */
  readonly limit: number;
  readonly level: Allocation['level'];
  readonly shares: number;
}

export interface Cdrom {
  readonly key: number;
  readonly controllerKey: number;
  readonly unit: number;
  /** ISO image, relative to the folder, absolute or a datastore path; none is an empty drive. */
  readonly fileName: string | undefined;
  /** A client's or host's drive: shown as it is, but empty in the engine. */
  readonly kind: 'iso' | 'atapi' | 'passthrough';
  readonly startConnected: boolean;
}

export interface Nic {
  readonly key: number;
  readonly number: number;
  readonly model: NicModel;
  readonly networkName: string;
  readonly addressType: 'generated' | 'static' | 'vpx';
  /** Empty until the first power-on or reconfigure of a machine that came without one. */
  readonly mac: string;
  readonly startConnected: boolean;
  readonly wakeOnLan: boolean;
  /** `tcp:127.0.0.1:8080:80`, a list: host address and port to guest port. */
  readonly forwards: readonly string[];
  /** What it may use of its network; everything, with normal shares, when left out. */
  readonly bandwidth?: NicBandwidth;
}

export interface NicBandwidth {
  /** Megabits a second. */
  readonly reservation: number;
  /** Megabits a second, each way; -1 is none. */
  readonly limit: number;
  readonly level: Allocation['level'];
  readonly shares: number;
}

export interface Serial {
  readonly key: number;
  readonly number: number;
  readonly kind: 'file' | 'pipe' | 'network' | 'device';
  readonly fileName: string;
  readonly startConnected: boolean;
  readonly yieldOnPoll: boolean;
}

export interface Floppy {
  readonly key: number;
  readonly number: number;
  readonly fileName: string | undefined;
  readonly startConnected: boolean;
}
