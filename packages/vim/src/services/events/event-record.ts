import type { DataTypes } from '../../generated/types.ts';
import type { ManagedObjectReference } from '../../schema/values.ts';

export type VimEvent = DataTypes['Event'];

/** An event as it is kept. */
export interface EventRecord {
  readonly event: VimEvent & { readonly _typeName: string };
  readonly entity: ManagedObjectReference | undefined;
  /** Reference values of the entity and of what was around it. */
  readonly within: readonly string[];
}
