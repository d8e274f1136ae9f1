import type { BackingChange, DiskExport, DiskOverlay, LayerCommit } from './block-work.ts';
import type { ChangedBlocksOfImages, ChangedBlocksOfMachine, DiskExportOptions } from './changed-blocks.ts';
import type { DiskCopying } from './disk-copy.ts';
import type { DiskMoving } from './disk-moves.ts';
import type { GuestFileSystem, GuestResolver, GuestRoute, GuestWork } from './guest-work.ts';
import type { BlockLayer, ControllerModel, MachineHardware, NicModel } from './hardware.ts';
import type { HotPlug, HotPlugCapabilities } from './hot-plug.ts';
import type { MachineSnapshots } from './machine-snapshots.ts';
import type { ResourceLimits } from './resource-limits.ts';

/**
 * Hypervisor: starts, finds again and commands virtual machines.
 *
 * Order: `probe` once, then `adopt` for each machine that the owner knows, then anything. Calls for different machines
 * may overlap; calls for one machine are made one after another by the owner, except `usage`, `guestFacts`, those of
 * `GuestWork` and `powerOff`, which may come at any time. No call blocks the event loop.
 */
export interface Hypervisor {
  /** What this driver and this machine can do. Cached by kernel and engine version. */
  probe(): Promise<HypervisorInfo>;
  /**
   * Starts a machine, running when it resolves. The engine takes the lock at `lockPath` and holds it while it lives;
   * `HypervisorError` with code `locked` says that another engine holds it.
   */
  start(request: StartRequest): Promise<RunningMachine>;
  /**
   * Finds the engine of a machine started by an earlier process, by the identity written in `runDirectory`.
   * Undefined: it does not run (any more). Never starts or signals anything it cannot prove to be the machine's own.
   * An engine whose start was never finished, unless its memory image was loaded, or whose guest shut down meanwhile, is ended and answers undefined.
   * A machine that was being suspended answers as `paused`; the event `ended` (`suspended`) follows, or it runs on.
   * Rejects with `engine-lost` when the engine lives and does not answer, such as while another owner holds it.
   */
  adopt(request: AdoptRequest): Promise<RunningMachine | undefined>;
  readonly images: ImageTool;
  /** Lets go of every machine without touching it: they run on. */
  detach(): Promise<void>;
}

export interface HypervisorInfo {
  /** Such as `QEMU`. */
  readonly product: string;
  readonly version: string;
  readonly accelerator: 'kvm' | 'tcg';
  /** Why not KVM, in a sentence, when `accelerator` is `tcg`. */
  readonly acceleratorReason?: string;
  readonly capabilities: HypervisorCapabilities;
}

/** Documented booleans and lists; callers ask these and never the driver's name. */
export interface HypervisorCapabilities {
  readonly suspend: boolean;
  readonly efi: boolean;
  /** Controllers on whose disks EFI finds a system. */
  readonly efiBootControllers: readonly ControllerModel[];
  readonly guestAgent: boolean;
  /** `runInGuest`, `startInGuest` and `guestProgram`, where the guest's agent takes them. */
  readonly guestPrograms: boolean;
  /** `captureScreen`. */
  readonly screenshots: boolean;
  /** `pressKeys`. */
  readonly keyStrokes: boolean;
  readonly vnc: boolean;
  readonly serial: boolean;
  /** `changeHardware` and `growDisk`; undefined where a machine that runs stays as it is. */
  readonly hotPlug: HotPlugCapabilities | undefined;
  /** `limitMemory` and `DiskHardware.operationsPerSecond`. */
  readonly resourceLimits: boolean;
  readonly liveMigration: boolean;
  /** `snapshotDisks`, `commitLayer`, `freezeGuest` and `exportDisk`, and the `commit` and `exportDisk` of `ImageTool`. */
  readonly diskSnapshots: boolean;
  /** `snapshotMachine`, where there is `diskSnapshots` and `suspend`. */
  readonly memorySnapshots: boolean;
  /** Layers inside archives, `DiskHardware.pauseOnReadError`, `pause` and `replaceBacking`. */
  readonly instantDisks: boolean;
  /** `ChangedBlocksOfMachine`, `ChangedBlocksOfImages`, `DiskOverlay.generation` and `DiskExportOptions`. */
  readonly changedBlocks: boolean;
  /** `DiskMoving`. */
  readonly diskMoves: boolean;
  /** `MachineHardware.guestData`. */
  readonly guestData: boolean;
  /** `MachineHardware.tpm`; false also where a program for it is missing here, which a start names. */
  readonly tpm: boolean;
  /** `NicHardware.bitsPerSecond`. */
  readonly nicLimits: boolean;
  /** `DiskHardware.shared`. */
  readonly sharedDisks: boolean;
  readonly nicModels: readonly NicModel[];
  readonly controllerModels: readonly ControllerModel[];
  readonly maxCpus: number;
  readonly maxMemoryMiB: number;
}

/** Where one machine's files of the running engine are. */
export interface AdoptRequest {
  readonly uuid: string;
  /** Short folder of mode 0700 on a local file system, for sockets and identity; made when missing. */
  readonly runDirectory: string;
  /** Lock held by the engine as long as it lives, in the machine's folder. */
  readonly lockPath: string;
}

export interface StartRequest extends AdoptRequest {
  readonly hardware: MachineHardware;
  /** Engine's own messages, appended. */
  readonly logPath: string;
  /** Told of the engine's process before its memory is filled or its guest runs. It does not reject. */
  readonly onProcess?: (pid: number) => Promise<void>;
  /** Machine type and CPU model as `RunningMachine.platform` gave them at the first start. */
  readonly platform?: MachinePlatform;
  /**
   * Memory image written by `suspend`; the machine goes on from it, on the platform that it was suspended on. The
   * owner removes it once `start` resolved. `start-failed` when it does not fit the machine or the accelerator.
   */
  readonly resumeFrom?: string;
  /**
   * UUID of the machine that the memory image was taken of, where that is another one: this machine goes on as a copy
   * of it, with the same hardware, addresses of its adapters among that, and disks that were the same at that moment.
   */
  readonly resumedAs?: string;
  /**
   * Called when the memory image is loaded and before the guest goes on: the last moment at which the image is what
   * the disks belong to. A start that is killed later is found by `adopt`, which lets the guest go on.
   */
  readonly beforeResume?: () => Promise<void>;
}

/** Persisted by the owner, so that suspended machines survive an upgrade of the engine. */
export interface MachinePlatform {
  /** Versioned machine type, such as `pc-i440fx-7.2`. */
  readonly machineType: string;
  /** CPU model, expanded. */
  readonly cpuModel: string;
}

export type MachineState = 'running' | 'paused' | 'stopped';

export interface RunningMachine
  extends GuestWork,
    ChangedBlocksOfMachine,
    DiskMoving,
    HotPlug,
    MachineSnapshots,
    ResourceLimits {
  readonly uuid: string;
  readonly platform: MachinePlatform;
  readonly pid: number;
  /** When the engine process started, milliseconds since the epoch. */
  readonly startedAt: number;
  /** Unix socket that speaks RFB. */
  readonly vncSocketPath: string;
  /** Unix sockets, one a serial port, in order; one viewer each. A driver drains them when nobody looks. */
  readonly serialSocketPaths: readonly string[];
  readonly state: MachineState;

  /** Calls `listener` for everything that happens; the answer unsubscribes. Events never come before `start` resolved. */
  subscribe(listener: (event: MachineEvent) => void): () => void;

  /** Ends the engine at once; resolves when its process is gone and its lock is free. */
  powerOff(): Promise<void>;
  reset(): Promise<void>;
  /** Stands still until `resume`. */
  pause(): Promise<void>;
  /** Goes on after a pause, such as the one that a full datastore causes. */
  resume(): Promise<void>;
  /**
   * Writes memory and device state to `path` and ends the engine; on failure (`suspend-failed`) the machine runs on.
   * The file appears whole and durable or not at all, also when the owner is killed meanwhile: after a restart, a
   * machine that `adopt` does not find is suspended if `path` is there.
   */
  suspend(path: string): Promise<void>;
  /** Asks the guest, by agent when it answers, else by ACPI power button. Does not wait for the end. */
  requestShutdown(): Promise<void>;
  /** Asks the guest to reboot; `HypervisorError` `guest-agent-absent` when there is no way to ask. */
  requestReboot(): Promise<void>;
  /**
   * Puts overlays on top of disks, all at one moment: no write of the guest is on one side only. What names the disks
   * must be durable before. An overlay that is there already is left alone, so that the call can be made again after
   * a restart. On failure (`block-failed`) all disks are as they were.
   */
  snapshotDisks(overlays: readonly DiskOverlay[]): Promise<void>;
  /**
   * Merges a layer into the one below. A request of the same `jobId` that an earlier process made goes on; one whose
   * layer is not there any more is over, and only `onMerged` is called. Rejects with `block-failed`; the layers stay readable
   * throughout, also after a kill of the engine. Until the call is made again, a machine whose owner was killed may stand still.
   */
  commitLayer(commit: LayerCommit): Promise<void>;
  /**
   * Has a layer lie on another file with the same bytes; the former one is let go of. Made again, the call changes
   * nothing. Rejects with `block-failed`: the disk is then as it was.
   */
  replaceBacking(change: BackingChange): Promise<void>;
  /**
   * Asks the guest's agent to flush and hold its file systems, for some seconds at most; the answer lets go. Rejects
   * with `guest-agent-absent`, or `quiesce-failed` where the guest refuses or takes longer than it may.
   */
  freezeGuest(options?: { readonly timeoutMs?: number }): Promise<() => Promise<void>>;
  /**
   * Lets a disk be read as the guest has it, moment by moment, for as long as the machine runs; snapshots and merges go
   * on meanwhile. Exports of an owner that was killed are ended by `adopt`. Rejects with `block-failed`.
   */
  exportDisk(diskId: string, options?: DiskExportOptions): Promise<DiskExport>;
  usage(): Promise<MachineUsage>;
  /** What the guest agent says; undefined while no agent answers. */
  guestFacts(): Promise<GuestFacts | undefined>;
}

export type MachineEvent =
  | { readonly kind: 'state'; readonly state: MachineState }
  /** The engine is gone. `reason`: the guest shut itself down, `powerOff` or `suspend` was called, or it crashed. */
  | {
      readonly kind: 'ended';
      readonly reason: 'guest-shutdown' | 'requested' | 'suspended' | 'crashed';
      readonly detail?: string;
    }
  | { readonly kind: 'guest-reset' }
  | { readonly kind: 'guest-panic' }
  | { readonly kind: 'agent'; readonly connected: boolean }
  | {
      readonly kind: 'disk-error';
      readonly diskId: string;
      readonly detail: string;
      readonly noSpace: boolean;
      /** The machine stands still for it, and tries again when it is resumed. An owner that adopts it is told again. */
      readonly paused: boolean;
    };

/** Totals since the engine started, measured; what a driver cannot measure it leaves out. */
export interface MachineUsage {
  readonly cpuMilliseconds: number;
  /** Virtual CPUs in their order: time in which each ran, and time in which it waited for a processor. */
  readonly cpus?: readonly { readonly runMilliseconds: number; readonly readyMilliseconds: number }[];
  /** Bytes of host memory that the engine occupies, and of its memory that the host has swapped out. */
  readonly residentBytes: number;
  readonly swappedBytes?: number;
  readonly balloonBytes: number;
  readonly disks: readonly {
    readonly id: string;
    readonly readBytes: number;
    readonly writtenBytes: number;
    readonly reads: number;
    readonly writes: number;
    /** Time that all reads, and all writes, took together. */
    readonly readMilliseconds?: number;
    readonly writeMilliseconds?: number;
  }[];
  /** NICs whose bytes the driver can measure; it may be none. */
  readonly nics: readonly NicUsage[];
}

export interface NicUsage {
  readonly id: string;
  readonly receivedBytes: number;
  readonly sentBytes: number;
  readonly receivedPackets?: number;
  readonly sentPackets?: number;
}

export interface GuestFacts {
  readonly agentVersion: string;
  readonly hostName?: string;
  /** Such as `debian`. */
  readonly osId?: string;
  readonly osPrettyName?: string;
  readonly kernel?: string;
  readonly interfaces: readonly GuestInterface[];
  /** Mounted file systems; undefined where the guest does not tell. */
  readonly fileSystems?: readonly GuestFileSystem[];
  readonly resolver?: GuestResolver;
  readonly routes?: readonly GuestRoute[];
  /** Seconds since the guest booted, when the guest tells. */
  readonly uptimeSeconds?: number;
}

/** One network interface as the guest has it. */
export interface GuestInterface {
  readonly name: string;
  readonly mac?: string;
  readonly addresses: readonly GuestAddress[];
  /** Since the guest booted, by the guest's own counters: where the engine counts none, the only ones there are. */
  readonly receivedBytes?: number;
  readonly sentBytes?: number;
  readonly receivedPackets?: number;
  readonly sentPackets?: number;
}

export interface GuestAddress {
  readonly address: string;
  readonly prefixLength: number;
  readonly family: 'ipv4' | 'ipv6';
}

/** Disk images in the driver's own formats; plain VMDK is not its business. */
export interface ImageTool extends ChangedBlocksOfImages, DiskCopying {
  /** Makes an empty delta of `virtualBytes` over `backing`; the file must not exist. */
  createDelta(options: {
    readonly path: string;
    readonly virtualBytes: number;
    readonly backing: BlockLayer & { readonly relativePath: string };
  }): Promise<void>;
  /** Virtual size and bytes in use of an image that no engine writes. */
  inspect(layer: BlockLayer): Promise<{ readonly virtualBytes: number; readonly allocatedBytes: number }>;
  /**
   * Merges the first of a disk's layers into the second; no engine has any of them. The first stays as it is. All stay
   * readable throughout: after a kill the call can be made again.
   */
  commit(options: {
    /** Top first; the last one is the base. */
    readonly layers: readonly BlockLayer[];
    readonly signal?: AbortSignal;
    /** Told how far it is, 0 to 1. */
    readonly onProgress?: (fraction: number) => void;
  }): Promise<void>;
  /**
   * Lets a disk that no engine writes be read, or written, over NBD on a socket that is made. It ends with its owner's
   * process at the latest. Rejects with `image-failed`.
   */
  exportDisk(options: {
    /** Top first; the last one is the base. */
    readonly layers: readonly BlockLayer[];
    readonly socketPath: string;
    readonly writable?: boolean;
    /** As in `DiskExportOptions`; for reading only. */
    readonly generations?: readonly string[];
  }): Promise<DiskExport>;
  /** Gives a delta's backing another name; no byte of the disk is looked at. */
  setBacking(options: {
    readonly path: string;
    readonly backing: BlockLayer & { readonly relativePath: string };
  }): Promise<void>;
}

export type HypervisorErrorCode =
  | 'locked'
  | 'start-failed'
  | 'unsupported-hardware'
  | 'not-running'
  | 'guest-agent-absent'
  | 'guest-unsupported'
  | 'guest-disabled'
  | 'guest-refused'
  | 'guest-late'
  | 'screen-failed'
  | 'suspend-failed'
  | 'engine-missing'
  | 'engine-lost'
  | 'block-failed'
  | 'memory-failed'
  | 'quiesce-failed'
  | 'hot-plug-failed'
  | 'image-failed';

/** What a driver throws; `message` says what to do next where there is something. */
export class HypervisorError extends Error {
  override readonly name = 'HypervisorError';
  readonly code: HypervisorErrorCode;

  constructor(code: HypervisorErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
