import type { MissingObject, ObjectUpdate, PropertyFilterSpec } from '../generated/types.ts';
import { localizedFault } from '../runtime/fault.ts';
import type { ManagedObject } from '../runtime/managed-object.ts';
import type { Session } from '../runtime/session.ts';
import type { ManagedObjectReference } from '../schema/values.ts';
import { Access } from './access.ts';
import { objectNotFound } from './errors.ts';
import { LinkGraph } from './link-graph.ts';
import type { Reading } from './path-accessor.ts';
import { personalView } from './property-set.ts';
import type { PropertySelection } from './property-sets.ts';
import { type CollectorContext, presentStart } from './retrieval.ts';
import type { TimeSlice } from './time-slice.ts';
import { compileTraversal } from './traversal.ts';

/** A filter's objects, followed. */
export class PropertyFilter {
  readonly partialUpdates: boolean;
  readonly #selection: PropertySelection;
  readonly #graph: LinkGraph;
  readonly #access: Access;
  readonly #missing: readonly MissingObject[];
  readonly #followers = new Set<FilterFollower>();

  /** Throws InvalidProperty, InvalidArgument, and ManagedObjectNotFound unless missing objects are to be reported. */
  constructor(
    spec: PropertyFilterSpec,
    {
      context,
      session,
      partialUpdates,
    }: { readonly context: CollectorContext; readonly session: Session; readonly partialUpdates: boolean },
  ) {
    const { registry, sets, references, feed } = context;
    this.partialUpdates = partialUpdates;
    this.#access = new Access(context.authorizer, session);
    this.#selection = sets.compile(spec.propSet);
    const starts = compileTraversal(spec.objectSet, { schema: registry.schema, sets });
    const missing: MissingObject[] = [];
    for (const start of starts) {
      try {
        presentStart(start, this.#access, registry);
      } catch (error) {
        if (spec.reportMissingObjectsInResults !== true) throw error;
        missing.push({ obj: start.ref, fault: localizedFault(objectNotFound(start.ref)) });
      }
    }
    this.#missing = missing;
    this.#graph = new LinkGraph({
      registry,
      references,
      starts,
      access: this.#access,
      feed,
      onChange: (value) => {
        for (const follower of this.#followers) follower.mark(value);
      },
    });
  }

  /** Finds the objects; call it once, before following. */
  build(): Promise<void> {
    return this.#graph.build();
  }

  /** Follows from nothing known: all objects are to enter. `onMark` runs when there is something to take. */
  follow(onMark: () => void): FilterFollower {
    const follower = new FilterFollower(this, { missing: this.#missing, onMark });
    this.#followers.add(follower);
    for (const { value, selected } of this.#graph.entries()) if (selected > 0) follower.mark(value);
    return follower;
  }

  /** Shows what its session may see now: its rights changed. */
  lookAgain(): void {
    for (const follower of this.#followers) follower.rightsChanged();
    this.#graph.lookAgain();
  }

  unfollow(follower: FilterFollower): void {
    this.#followers.delete(follower);
  }

  close(): void {
    this.#graph.close();
    this.#followers.clear();
  }

  /** The object as the filter shows it; undefined when it is not selected, gone, or not to be seen. */
  object(value: string): ManagedObject | undefined {
    const entry = this.#graph.entry(value);
    const object = entry?.object;
    if (entry === undefined || entry.selected === 0 || object === undefined || object.removed) return undefined;
    const set = this.#selection(object.ref.type);
    return set !== undefined && this.#access.reads(object, set) ? object : undefined;
  }

  /** What changed of an object that it shows; all of it when `from` is 0. */
  update(object: ManagedObject, from: number): ObjectUpdate | undefined {
    return this.#selection(object.ref.type)?.update(object, from, this.#access);
  }

  /** What of an object is kept from the session, and whether some of it depends on who looks. */
  view(object: ManagedObject): string {
    return this.#selection(object.ref.type)?.view(object, this.#access) ?? '';
  }

  readings(object: ManagedObject): readonly Reading[] {
    return this.#selection(object.ref.type)?.readings(object, this.#access) ?? [];
  }

  partialUpdate(
    object: ManagedObject,
    readings: { readonly before: readonly Reading[]; readonly after: readonly Reading[] },
  ): ObjectUpdate | undefined {
    return this.#selection(object.ref.type)?.partialUpdate(object, readings);
  }
}

interface Told {
  readonly ref: ManagedObjectReference;
  /** Commit up to which the follower knows the object. */
  version: number;
  /** What it knows, where partial updates are told. */
  readings: readonly Reading[] | undefined;
  /** What was kept from it when it was told, and how often its rights had changed. */
  view: string;
  rights: number;
}

/** One line of updates of a filter: what its client knows, and what may have changed since. */
export class FilterFollower {
  readonly #filter: PropertyFilter;
  readonly #told = new Map<string, Told>();
  /** Objects to look at, in the order of their changes. */
  readonly #marked = new Set<string>();
  readonly #onMark: () => void;
  #missing: readonly MissingObject[];
  #rights = 0;

  constructor(
    filter: PropertyFilter,
    { missing, onMark }: { readonly missing: readonly MissingObject[]; readonly onMark: () => void },
  ) {
    this.#filter = filter;
    this.#missing = missing;
    this.#onMark = onMark;
  }

  get hasMarks(): boolean {
    return this.#marked.size > 0 || this.#missing.length > 0;
  }

  /** What is marked from now on may have to be told anew. */
  rightsChanged(): void {
    this.#rights += 1;
  }

  mark(value: string): void {
    if (this.#marked.size === 0) this.#onMark();
    this.#marked.add(value);
  }

  /** Starting objects that were missing: told once. */
  takeMissing(): readonly MissingObject[] {
    const missing = this.#missing;
    this.#missing = [];
    return missing;
  }

  /** Adds what changed to `updates` until there are `most` of them; what is left stays marked. */
  async take(updates: ObjectUpdate[], { most, slice }: { readonly most: number; readonly slice: TimeSlice }) {
    for (const value of this.#marked) {
      if (updates.length >= most) return;
      if (slice.isOver()) await slice.rest();
      this.#marked.delete(value);
      this.#takeOne(value, updates, most);
    }
  }

  #takeOne(value: string, updates: ObjectUpdate[], most: number): void {
    const object = this.#filter.object(value);
    let told = this.#told.get(value);
    if (told !== undefined && (object === undefined || object.addedIn > told.version)) {
      updates.push({ kind: 'leave', obj: told.ref });
      this.#told.delete(value);
      told = undefined;
      if (object !== undefined && updates.length >= most) {
        // Another object came in the place of the one that left: it enters with the next set.
        this.#marked.add(value);
        return;
      }
    }
    if (object === undefined) return;
    const update = this.#tell(object, told);
    if (update !== undefined) updates.push(update);
  }

  #tell(object: ManagedObject, told: Told | undefined): ObjectUpdate | undefined {
    const partial = this.#filter.partialUpdates;
    const readings = partial ? this.#filter.readings(object) : undefined;
    const { ref, version } = object;
    const rights = this.#rights;
    if (told === undefined) {
      const view = this.#filter.view(object);
      this.#told.set(ref.value, { ref, version, readings, view, rights });
      return this.#filter.update(object, 0);
    }
    const from = told.version;
    const before = told.readings;
    told.version = version;
    told.readings = readings;
    if (told.rights !== rights) {
      told.rights = rights;
      const view = this.#filter.view(object);
      const same = told.view === view && !view.startsWith(personalView);
      told.view = view;
      if (!same) {
        const whole = this.#filter.update(object, 0);
        return whole === undefined ? undefined : { ...whole, kind: 'modify' };
      }
    }
    if (readings === undefined || before === undefined) return this.#filter.update(object, from);
    return this.#filter.partialUpdate(object, { before, after: readings });
  }
}
