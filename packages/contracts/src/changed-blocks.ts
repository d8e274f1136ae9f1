import type { BlockLayer } from './hardware.ts';

/**
 * Changed blocks. A disk's layers keep, in generations, which stretches were written while each was recording: a qcow2
 * delta in itself, a raw file by its image at `changesPath`; other layers keep none. At most one generation of a layer
 * records, and only the top layer is written. What changed since a generation began is what it and all that began after
 * it have, in the layer that is read and in all below. Writes, zeros and discards count, in blocks of 64 KiB.
 *
 * Merging (`commitLayer`, `ImageTool.commit`) passes the generations of the layer that goes on to the one below. One
 * that cannot keep any loses them: who asks must find every generation that is needed, and each consistent.
 *
 * What an engine has is durable when it ends cleanly (`powerOff`, `suspend`, a guest's shutdown). After a kill of the
 * engine the generations of layers that were open for writing say nothing any more (`consistent: false`), and those that
 * began since it was started are not there at all.
 */
export interface Generation {
  /** Letters, digits, `.`, `_` and `-`, at most 64. */
  readonly name: string;
  /** Takes what is written to the layer. */
  readonly recording: boolean;
  /** False: an engine that had it open for writing was killed. It says nothing any more. */
  readonly consistent: boolean;
}

/** What one layer keeps. */
export interface LayerGenerations {
  /** Path of the layer: of the raw file for one with `changesPath`. */
  readonly path: string;
  readonly generations: readonly Generation[];
}

/** A generation that is to begin on the top layer of a disk. */
export interface GenerationStart {
  readonly diskId: string;
  readonly generation: string;
}

/** A disk that is to be read, and what is told with it. */
export interface DiskExportOptions {
  /** Path of the layer that is read as the disk, with all below: a snapshot. It and those below are not merged meanwhile. Default: the disk as it is, moment by moment. */
  readonly layer?: string;
  /**
   * Generations as of one moment, before the export's first byte is read: clients get them as `qemu:dirty-bitmap:NAME`.
   * Each is taken of the layer that is read and all below together; `block-failed` where none has it, or one is inconsistent.
   */
  readonly generations?: readonly string[];
}

/** What a running machine does for changed blocks (`HypervisorCapabilities.changedBlocks`). */
export interface ChangedBlocksOfMachine {
  /**
   * Begins generations on the top layers of disks, all at one moment, and ends those before on these layers; what is
   * inconsistent there is forgotten. Made again, it changes nothing. Rejects with `block-failed`, also where a top layer
   * can keep none.
   */
  beginGenerations(starts: readonly GenerationStart[]): Promise<void>;
  /** What each layer of a disk keeps, top first. Rejects with `block-failed`. */
  generations(diskId: string): Promise<readonly LayerGenerations[]>;
  /** Forgets generations of a disk's top layer; those that are not there are left out. Rejects with `block-failed`. */
  forgetGenerations(diskId: string, names: readonly string[]): Promise<void>;
}

/** What is done for changed blocks of disks that no engine has. All reject with `image-failed`. */
export interface ChangedBlocksOfImages {
  /**
   * Makes the image at `path`, beside the raw file, through which that is written so that the engine can keep what
   * changed (`BlockLayer.changesPath`). Nothing may write the file meanwhile; it is not opened. `path` appears whole,
   * and must not exist. Rejects with `image-failed`.
   */
  createChangeLayer(options: {
    readonly path: string;
    /** Its name, in the same folder. */
    readonly fileName: string;
    /** Size of the file, a multiple of 512. */
    readonly virtualBytes: number;
  }): Promise<void>;
  /** Begins a generation on a layer, such as a delta just made, and ends those before; what is inconsistent there is forgotten. Made again, it changes nothing. */
  beginGeneration(layer: BlockLayer, generation: string): Promise<void>;
  /** What each layer keeps, in the same order. Only headers are read: it starts no program. */
  generations(layers: readonly BlockLayer[]): Promise<readonly LayerGenerations[]>;
  /** Forgets generations of a layer; those that are not there are left out. */
  forgetGenerations(layer: BlockLayer, names: readonly string[]): Promise<void>;
}
