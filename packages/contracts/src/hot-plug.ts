import type { ControllerModel, MachineHardware } from './hardware.ts';

/** What a driver can change of a machine that runs. All false and empty where `hotPlug` of the capabilities is false. */
export interface HotPlugCapabilities {
  /** Controllers that come and go with their disks while the machine runs. */
  readonly controllerModels: readonly ControllerModel[];
  /** Processors come, up to `MachineHardware.hotPlug`; those that came may go. */
  readonly cpus: boolean;
  /** Memory comes, up to `MachineHardware.hotPlug`, in steps of this; 0 where it does not. */
  readonly memoryStepMiB: number;
  /** NICs come and go, of any model; those that are there lose and get their link. */
  readonly nics: boolean;
  /** Images in CD-ROM and floppy drives are exchanged. */
  readonly media: boolean;
}

/** Changes of a machine that runs, under the capability `hotPlug`. */
export interface HotPlug {
  /**
   * Makes the machine what `hardware` says: what is there too much goes, what is missing comes. What is there already
   * is left alone, so that the call can be made again after a restart, or with the former hardware to take back what
   * failed. It takes as long as the guest takes to let go.
   *
   * Looked at: controllers, disks (whether they are there, and `operationsPerSecond`), NICs (whether they are there, `connected` and `bitsPerSecond`), images in
   * drives, `cpus`, `memoryMiB`. All else counts at the next start. Rejects with `unsupported-hardware` before
   * anything was changed where a change is not possible while the machine runs, and with `hot-plug-failed` where the
   * engine or the guest refuses: some of it may have been done then.
   */
  changeHardware(hardware: MachineHardware): Promise<void>;
  /**
   * Tells the guest that a disk is larger: its top layer's file is already, or becomes, that large. Made again, the
   * call changes nothing. Rejects with `hot-plug-failed`.
   */
  growDisk(diskId: string, virtualBytes: number): Promise<void>;
}
