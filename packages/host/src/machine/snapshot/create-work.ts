import type { RunningTask } from '@hypostyle/vim';
import type { HostCore } from '../../host-core.ts';
import type { PlannedGeneration } from '../changes/change-tracking.ts';
import type { MachineWatch } from '../engine/machine-watch.ts';
import type { MachineRecord } from '../record/machine-record.ts';
import type { MergeJournal } from './merge-disks.ts';
import type { PlannedDelta } from './planned-deltas.ts';
import type { SnapshotEntry } from './snapshot-list.ts';

export interface CreateSnapshotInput {
  readonly id: string;
  readonly name: string;
  readonly description: string;
  readonly memory: boolean;
  readonly quiesce: boolean;
  /** Milliseconds that the guest may take to hold its file systems; the driver's own patience when it is left out. */
  readonly quiesceTimeoutMs?: number;
}

/** One snapshot being taken. */
export interface CreateWork {
  readonly core: HostCore;
  readonly watch: MachineWatch;
  readonly task: RunningTask;
  readonly machine: MachineRecord;
  readonly input: CreateSnapshotInput;
}

/** Written down before the first file is made. */
export interface CreateJournal {
  readonly entry: Omit<SnapshotEntry, 'parent'>;
  readonly deltas: readonly PlannedDelta[];
  /** What changes from here on, on disks of which it is told. */
  readonly generations: readonly PlannedGeneration[];
  /** Of a machine without disks: everything is ready for the engine. */
  readonly named?: boolean;
  /** The guest held its file systems when the engine was asked. */
  readonly quiesced?: boolean;
  /** Why the memory could not be kept: all of it is taken back. */
  readonly failed?: string;
  /** The merge that takes back what the disks got. */
  readonly merge?: MergeJournal | undefined;
}

/** Files that the memory of a snapshot may have. */
export function memoryFiles({ memoryFile }: Pick<SnapshotEntry, 'memoryFile'>): string[] {
  return memoryFile === undefined ? [] : [memoryFile, `${memoryFile}.partial`];
}
