import { data } from '@hypostyle/vim';
import { type EntityDocument, referenceOf } from '../inventory/entity-document.ts';

/** A pool or vApp as events tell of it. */
export function poolArgument(pool: EntityDocument) {
  return data('ResourcePoolEventArgument', { resourcePool: referenceOf(pool) as never, name: pool.name });
}
