import type { LayerCommit } from '../block-work.ts';
import type { MachineHardware } from '../hardware.ts';
import type { MachineSnapshot } from '../machine-snapshots.ts';

/** What an owner that is killed was in the middle of. */
export interface OwnerWork {
  readonly suspendPath?: string;
  readonly commit?: Omit<LayerCommit, 'signal' | 'onProgress' | 'onMerged'>;
  readonly hardware?: MachineHardware;
  readonly snapshot?: Omit<MachineSnapshot, 'onProgress'>;
}
