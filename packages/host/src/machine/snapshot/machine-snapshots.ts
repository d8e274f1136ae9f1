import type { MachineConfiguration } from '../../configuration/machine-configuration.ts';
import type { DiskFacts } from '../record/disk-facts.ts';
import { noSnapshots, type SnapshotList } from './snapshot-list.ts';

/** What a machine was when a snapshot was taken. */
export interface SnapshotView {
  readonly configuration: MachineConfiguration;
  readonly disks: ReadonlyMap<number, DiskFacts>;
  /** Why nothing can be reverted to it. */
  readonly problem: string | undefined;
}

/** A machine's snapshots as its folder says. */
export interface MachineSnapshots extends SnapshotList {
  readonly views: ReadonlyMap<number, SnapshotView>;
  /** Why the list cannot be read: nothing is done with snapshots then. */
  readonly problem: string | undefined;
}

export const emptySnapshots: MachineSnapshots = { ...noSnapshots, views: new Map(), problem: undefined };
