import type { GuestFacts, MachineUsage } from '@hypostyle/contracts';
import type { ManagedObjectReference, VmConfigInfo } from '@hypostyle/vim';
import type { MachineConfiguration } from '../../configuration/machine-configuration.ts';
import type { Datastore } from '../../datastore/datastore.ts';
import type { ChangeRecord } from '../changes/change-record.ts';
import type { MachineQuestion } from '../settle/machine-question.ts';
import type { MachineSnapshots } from '../snapshot/machine-snapshots.ts';
import type { DiskFacts } from './disk-facts.ts';
import type { PowerState } from './power-state.ts';

export type { DiskFacts } from './disk-facts.ts';
export type { PowerState } from './power-state.ts';

/** All that the host knows of one registered machine. Replaced whole in a commit, never changed in place. */
export interface MachineRecord {
  /** Reference value: a number, never used again. */
  readonly id: string;
  readonly ref: ManagedObjectReference<'VirtualMachine'>;
  readonly datastore: Datastore;
  /** Path of the `.vmx` in the datastore, such as `web1/web1.vmx`. */
  readonly vmxPath: string;
  readonly resourcePool: ManagedObjectReference<'ResourcePool'>;
  readonly configuration: MachineConfiguration;
  readonly vApp: VmConfigInfo | undefined;
  /** Why there is none though there should be: the machine does not start without what its guest was to be told. */
  readonly vAppProblem: string | undefined;
  /** The OVF environment of this run, where the guest is told by `guestinfo.ovfEnv`. */
  readonly guestEnvironment: string | undefined;
  /** When the `.vmx` last changed, ISO; `changeVersion` of the model. */
  readonly modified: string;
  readonly created: string | undefined;
  readonly disks: ReadonlyMap<number, DiskFacts>;
  readonly snapshots: MachineSnapshots;
  /** What is known of what changes on its disks. */
  readonly changes: ChangeRecord;
  readonly files: MachineFiles;
  readonly powerState: PowerState;
  readonly bootTime: string | undefined;
  readonly suspendTime: string | undefined;
  readonly cleanPowerOff: boolean;
  readonly guest: GuestFacts | undefined;
  /** True between the agent's first answer and the engine's end or the agent's silence. */
  readonly agentConnected: boolean;
  readonly stats: MachineStats | undefined;
  /** Devices by key that are connected now, or not, other than at a start. */
  readonly connections?: ReadonlyMap<number, boolean>;
  /** The disc with the tools is in a drive. */
  readonly toolsMounted?: boolean;
  /** What it stands still for until somebody answers. */
  readonly question: MachineQuestion | undefined;
  /** Set when the folder cannot be read: the machine is shown, but inaccessible. */
  readonly problem: string | undefined;
}

export interface MachineFiles {
  readonly list: readonly MachineFile[];
  readonly committedBytes: number;
  /** Bytes that thin disks may still grow. */
  readonly uncommittedBytes: number;
  readonly unsharedBytes: number;
  readonly at: string;
  /** What of these is on other datastores than the machine's, by their UUIDs. */
  readonly abroad?: ReadonlyMap<string, Pick<MachineFiles, 'committedBytes' | 'uncommittedBytes' | 'unsharedBytes'>>;
}

export interface MachineFile {
  /** Path in the machine's datastore. */
  readonly path: string;
  readonly type: string;
  readonly bytes: number;
  /** Other machines stand on it too. */
  readonly shared?: boolean;
}

/** Rates over the last interval, and totals of the engine. */
export interface MachineStats {
  readonly cpuMHz: number;
  readonly hostMemoryMiB: number;
  readonly guestMemoryMiB: number;
  readonly balloonedMiB: number;
  readonly uptimeSeconds: number;
  readonly usage: MachineUsage;
}

/** Whether a device of a machine is connected, now or at its next start. */
export function isConnected(
  { connections }: Pick<MachineRecord, 'connections'>,
  { key, startConnected }: { readonly key: number; readonly startConnected: boolean },
): boolean {
  return connections?.get(key) ?? startConnected;
}
