import type { Authorizer } from '../runtime/authorizer.ts';
import type { ManagedObjectClass } from '../runtime/managed-object.ts';
import type { Registry } from '../runtime/registry.ts';
import type { ManagedObjectReference } from '../schema/values.ts';
import type { ChangeFeed } from './change-feed.ts';
import { PropertySets } from './property-sets.ts';
import { ReferenceSets } from './reference-set.ts';
import type { CollectorContext } from './retrieval.ts';
import { RetrievalTokens } from './retrieval-tokens.ts';
import { retrieveMethods } from './retrieve-methods.ts';

export interface PropertyCollectorOptions {
  readonly registry: Registry;
  readonly authorizer: Authorizer;
  readonly feed: ChangeFeed;
  /** Reference value of the default collector, `propertyCollector` unless told (`ha-property-collector` on a host). */
  readonly value?: string;
  /** Objects in one answer of RetrievePropertiesEx when the client names no limit: all unless told. */
  readonly maxObjects?: number;
}

/** Adds the default PropertyCollector; each session has its own filters and updates behind it. */
export function createPropertyCollector({
  registry,
  authorizer,
  feed,
  value = 'propertyCollector',
  maxObjects,
}: PropertyCollectorOptions): ManagedObjectReference<'PropertyCollector'> {
  const context: CollectorContext = {
    registry,
    authorizer,
    feed,
    sets: new PropertySets(registry.schema),
    references: new ReferenceSets(),
  };
  const collectorClass: ManagedObjectClass<'PropertyCollector'> = {
    type: 'PropertyCollector',
    methods: {
      ...retrieveMethods(context, { tokens: new RetrievalTokens(), maxObjects }),
    },
  };
  return registry.commit((draft) => draft.add(collectorClass, value, {}));
}
