import type { ManagedObjectReference } from '@hypostyle/vim';
import type { Allocation } from '../configuration/machine-configuration.ts';

export interface PoolAllocation extends Allocation {
  /** What the reservation does not cover may be taken from the parent's. */
  readonly expandable: boolean;
}

/** A resource pool below the root. Replaced whole, never changed in place. */
export interface PoolRecord {
  /** Reference value: `pool` and a number, never used again. */
  readonly id: string;
  readonly name: string;
  /** Reference value of the pool above. */
  readonly parent: string;
  readonly cpu: PoolAllocation;
  readonly memory: PoolAllocation;
  /** When it was last changed, ISO: `ResourceConfigSpec.changeVersion`. */
  readonly modified: string;
}

export type PoolReference = ManagedObjectReference<'ResourcePool'>;

export function poolReference(id: string): PoolReference {
  return { _typeName: 'ManagedObjectReference', type: 'ResourcePool', value: id };
}
