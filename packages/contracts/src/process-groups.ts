/**
 * Holds processes of engines to their part of this machine, as groups in a tree. What it cannot do it says; it never
 * ends a process.
 */
export interface ProcessGroups {
  /** What is held here. Asked once, before anything else. */
  probe(): Promise<ProcessGroupsInfo>;
  /**
   * Makes the tree what the groups say: what is missing is made, processes go where they belong, and groups that are
   * not named go once they are empty. Made again, the call changes nothing. Rejects where a group cannot be made what
   * it should be, once the others are.
   */
  apply(groups: readonly ProcessGroup[]): Promise<void>;
}

export interface ProcessGroupsInfo {
  readonly cpu: boolean;
  /** `ProcessGroup.memory` is held. */
  readonly memory: boolean;
  /** `ProcessGroup.diskWeight` is held. */
  readonly disk: boolean;
  /** Why not all of it is held, in a sentence. */
  readonly reason?: string;
}

export interface ProcessGroup {
  /** Names from the outermost group on: letters, digits, `_` and `-`. Groups above come before those in them. */
  readonly path: readonly string[];
  /** Part of the processors that it gets beside its siblings when all of them want everything; over 0. */
  readonly cpuWeight: number;
  /** Processors that it uses at most, such as 0.5; all when left out. */
  readonly cpuLimit?: number;
  readonly memory: {
    /** Bytes that are never taken from it. */
    readonly reserved: number;
    /** Bytes that are taken from it only where nothing else is left to take. */
    readonly entitled: number;
    /** Bytes over which it is slowed down rather than given more; none when left out. */
    readonly limit?: number;
  };
  /** Part of what disks can do, beside its siblings; over 0. */
  readonly diskWeight: number;
  /** Process whose place it is. */
  readonly pid?: number;
}
