import type { LayerCommit } from '../block-work.ts';

/** What an owner that is killed was in the middle of. */
export interface OwnerWork {
  readonly suspendPath?: string;
  readonly commit?: Omit<LayerCommit, 'signal' | 'onProgress' | 'onMerged'>;
}
