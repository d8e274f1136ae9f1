import type { MachineHardware } from '../hardware.ts';
import type { ImageTool, RunningMachine } from '../hypervisor.ts';

/** A guest system that the conformance suite can use; all that the suite knows of what runs inside. */
export interface ConformanceGuest {
  /** Makes what a machine in `folder` needs and describes it. */
  prepare(options: GuestOptions): Promise<MachineHardware>;
  /** Speaks with the guest of a running machine. */
  open(machine: RunningMachine): Promise<GuestSession>;
}

export interface GuestOptions {
  readonly uuid: string;
  /** Folder of the machine's files. */
  readonly folder: string;
  readonly images: ImageTool;
  /** Has a guest agent. */
  readonly agent?: boolean;
  readonly firmware?: 'bios' | 'efi';
  /** Drops what is written to the data disk at power-off. */
  readonly discardWrites?: boolean;
}

export interface GuestSession {
  /** Waits until the guest has booted; the answer is the UUID that its firmware tells it. */
  ready(): Promise<string>;
  /** Fills some megabytes of memory with what nobody can guess; the answer is its digest. */
  fillMemory(): Promise<string>;
  /** Digest of what `fillMemory` left there. */
  digestMemory(): Promise<string>;
  uptimeSeconds(): Promise<number>;
  /** Writes a short text to the data disk, flushed. */
  writeDisk(text: string): Promise<void>;
  readDisk(length: number): Promise<string>;
  /** What the guest has now. */
  hardware(): Promise<GuestHardware>;
  /** The beginning of the disc in the CD-ROM drive; empty where there is none. */
  readDisc(length: number): Promise<string>;
  /** What the machine was given as guest data of this name; empty where there is none. */
  guestData(name: string): Promise<string>;
  /** How many bytes a server of the host gives, by the guest's one adapter. */
  receive(port: number): Promise<number>;
  /** Sends bytes to a server of the host, and waits for it to end the connection. */
  send(port: number, bytes: number): Promise<void>;
  /** What `/tmp/typed` has: a shell of the guest listens to the keyboard. Empty where there is no such file. */
  typed(): Promise<string>;
  /** Makes the guest shut down, or reboot, by itself. */
  shutDown(): void;
  reboot(): void;
  close(): void;
}

/** What a guest's kernel knows of its machine. */
export interface GuestHardware {
  readonly processors: number;
  /** Memory that the machine has, used or not, rounded to the kernel's blocks. */
  readonly memoryMiB: number;
  /** Sizes of all disks, smallest first. */
  readonly diskBytes: readonly number[];
  /** Addresses of NICs, lower-case, and whether they have a link. */
  readonly nics: readonly { readonly mac: string; readonly link: boolean }[];
}
