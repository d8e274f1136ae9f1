import type { ObjectContent, PropertyFilterSpec } from '../generated/types.ts';
import type { Authorizer } from '../runtime/authorizer.ts';
import type { ManagedObject } from '../runtime/managed-object.ts';
import type { Registry } from '../runtime/registry.ts';
import type { Session } from '../runtime/session.ts';
import { Access } from './access.ts';
import type { ChangeFeed } from './change-feed.ts';
import { objectNotFound } from './errors.ts';
import { LinkGraph } from './link-graph.ts';
import type { PropertySet } from './property-set.ts';
import type { PropertySets } from './property-sets.ts';
import type { ReferenceSets } from './reference-set.ts';
import { TimeSlice } from './time-slice.ts';
import { compileTraversal, type Start } from './traversal.ts';

/** What everything that reads the registry by property specs works with. */
export interface CollectorContext {
  readonly registry: Registry;
  readonly authorizer: Authorizer;
  readonly feed: ChangeFeed;
  readonly sets: PropertySets;
  readonly references: ReferenceSets;
}

/** An object that was selected, and what is to be read of it. */
interface Selected {
  readonly object: ManagedObject;
  readonly set: PropertySet;
}

/** Results are arrays up to this number of objects, and read while they are sent beyond it. */
const mostReadAhead = 200;

/** Selected objects, read when somebody iterates. */
export class Selection implements Iterable<ObjectContent> {
  readonly #selected: readonly Selected[];
  readonly #access: Access;

  constructor(selected: readonly Selected[], access: Access) {
    this.#selected = selected;
    this.#access = access;
  }

  get length(): number {
    return this.#selected.length;
  }

  slice(start: number, end?: number): Selection {
    return new Selection(this.#selected.slice(start, end), this.#access);
  }

  *[Symbol.iterator](): Iterator<ObjectContent> {
    for (const { object, set } of this.#selected) yield set.content(object, this.#access);
  }

  /** As a declared array: encoders take any iterable for it, and read as they go. */
  toResult(): readonly ObjectContent[] {
    return this.length <= mostReadAhead ? [...this] : (this as unknown as readonly ObjectContent[]);
  }
}

/**
 * Selects what the specs say, as it is now.
 *
 * Throws InvalidProperty, InvalidArgument, and ManagedObjectNotFound for a start that is gone, unless
 * `reportMissingObjectsInResults`.
 */
export async function select(
  specSet: readonly PropertyFilterSpec[],
  session: Session | undefined,
  context: CollectorContext,
): Promise<Selection> {
  const access = new Access(context.authorizer, session);
  const { sets, registry, references } = context;
  const compiled = specSet.map(({ propSet, objectSet, reportMissingObjectsInResults }) => ({
    selection: sets.compile(propSet),
    starts: compileTraversal(objectSet, { schema: registry.schema, sets }),
    reportsMissing: reportMissingObjectsInResults === true,
  }));
  await context.feed.settle();
  const selected: Selected[] = [];
  for (const { selection, starts, reportsMissing } of compiled) {
    if (!reportsMissing) for (const start of starts) presentStart(start, access, registry);
    const graph = new LinkGraph({ registry, references, starts, access });
    await graph.build();
    const slice = new TimeSlice();
    for (const entry of graph.entries()) {
      const { object } = entry;
      if (slice.isOver()) await slice.rest();
      if (entry.selected === 0 || object === undefined || object.removed) continue;
      const set = selection(object.ref.type);
      if (set === undefined) continue;
      // Whoever is not signed in is told so, property by property.
      const told = session === undefined && object.owner === undefined;
      if (told || access.reads(object, set)) selected.push({ object, set });
    }
  }
  return new Selection(selected, access);
}

/** The start's object; throws ManagedObjectNotFound when it is not there, or another session's. */
export function presentStart({ ref }: Start, { session }: Access, registry: Registry): ManagedObject {
  const object = registry.get(ref);
  if (object === undefined || (object.owner !== undefined && object.owner !== session)) throw objectNotFound(ref);
  return object;
}
