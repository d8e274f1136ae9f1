import type { PowerState } from '../record/power-state.ts';

/** One disk of a snapshot, as it was then. */
export interface SnapshotDisk {
  /** Device in the `.vmx`, such as `scsi0:0`. */
  readonly node: string;
  /** As the `.vmx` named it: relative to the folder, or absolute. */
  readonly fileName: string;
}

/** One snapshot as the machine's `.vmsd` says. */
export interface SnapshotEntry {
  /** `VirtualMachineSnapshotTree.id`: 1 or more, never used again. */
  readonly uid: number;
  readonly parent: number | undefined;
  readonly name: string;
  readonly description: string;
  /** ISO. */
  readonly created: string;
  /** Name of the `.vmsn` in the machine's folder. */
  readonly fileName: string;
  /** What a revert makes of the machine; without memory it is off. */
  readonly state: PowerState;
  readonly quiesced: boolean;
  /** Memory image in the machine's folder, which belongs to the disks. */
  readonly memoryFile: string | undefined;
  readonly disks: readonly SnapshotDisk[];
  /** Somebody's copies stand on it: it stays. */
  readonly cloned: boolean;
}

/** A machine's snapshots and where it stands among them. */
export interface SnapshotList {
  readonly entries: readonly SnapshotEntry[];
  /** The one that the machine goes on from. */
  readonly current: number | undefined;
  /** Highest that was ever given. */
  readonly lastUid: number;
}

export const noSnapshots: SnapshotList = { entries: [], current: undefined, lastUid: 0 };

export function findSnapshot<S extends { readonly uid: number }>(entries: readonly S[], uid: number): S | undefined {
  return entries.find((entry) => entry.uid === uid);
}

/** Direct children, by age; those of the root without a uid. */
export function childrenOf<S extends { readonly uid: number; readonly parent: number | undefined }>(
  entries: readonly S[],
  uid: number | undefined,
): S[] {
  return entries.filter(({ parent }) => parent === uid);
}

/** The snapshot and all below it. */
export function withDescendants(entries: readonly SnapshotEntry[], uid: number): Set<number> {
  const found = new Set([uid]);
  const waiting = [uid];
  for (let at = waiting.pop(); at !== undefined; at = waiting.pop()) {
    for (const child of childrenOf(entries, at)) {
      if (found.has(child.uid)) continue;
      found.add(child.uid);
      waiting.push(child.uid);
    }
  }
  return found;
}

/** The list with one more, as a child of the current one, which it becomes. */
export function withSnapshot(list: SnapshotList, entry: Omit<SnapshotEntry, 'parent'>): SnapshotList {
  return {
    entries: [...list.entries, { ...entry, parent: list.current }],
    current: entry.uid,
    lastUid: Math.max(list.lastUid, entry.uid),
  };
}

/** The list without some: their children, and the machine, go on from the nearest that stays. */
export function withoutSnapshots(list: SnapshotList, gone: ReadonlySet<number>): SnapshotList {
  const staying = (uid: number | undefined): number | undefined => {
    let at = uid;
    while (at !== undefined && gone.has(at)) at = findSnapshot(list.entries, at)?.parent;
    return at;
  };
  return {
    ...list,
    entries: list.entries
      .filter(({ uid }) => !gone.has(uid))
      .map((entry) => ({ ...entry, parent: staying(entry.parent) })),
    current: staying(list.current),
  };
}

export function changeSnapshot(list: SnapshotList, uid: number, members: Partial<SnapshotEntry>): SnapshotList {
  return {
    ...list,
    entries: list.entries.map((entry) => (entry.uid === uid ? { ...entry, ...members } : entry)),
  };
}
