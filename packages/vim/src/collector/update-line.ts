import type { MissingObject, ObjectUpdate, PropertyFilterUpdate, UpdateSet } from '../generated/types.ts';
import { Turns } from '../runtime/turns.ts';
import type { ManagedObjectReference } from '../schema/values.ts';
import type { FilterFollower, PropertyFilter } from './property-filter.ts';
import { TimeSlice } from './time-slice.ts';

type FilterReference = ManagedObjectReference<'PropertyFilter'>;

interface Followed {
  readonly filter: PropertyFilter;
  readonly ref: FilterReference;
  readonly follower: FilterFollower;
}

/**
 * One client's line of updates, from version to version.
 *
 * The last set is kept until its version comes back: whoever lost it asks with the version before, and gets it again.
 */
export class UpdateLine {
  readonly id: string;
  readonly #followed = new Map<PropertyFilter, Followed>();
  readonly #onMark: () => void;
  #count = 0;
  #last: UpdateSet | undefined;
  readonly #turns = new Turns();

  constructor(id: string, onMark: () => void) {
    this.id = id;
    this.#onMark = onMark;
  }

  get version(): string {
    return this.#versionOf(this.#count);
  }

  get hasMarks(): boolean {
    for (const { follower } of this.#followed.values()) if (follower.hasMarks) return true;
    return false;
  }

  add(filter: PropertyFilter, ref: FilterReference): void {
    this.#followed.set(filter, { filter, ref, follower: filter.follow(this.#onMark) });
    this.#onMark();
  }

  remove(filter: PropertyFilter): void {
    const followed = this.#followed.get(filter);
    if (followed === undefined) return;
    filter.unfollow(followed.follower);
    this.#followed.delete(filter);
    if (this.#last === undefined) return;
    const filterSet = this.#last.filterSet?.filter(({ filter: { value } }) => value !== followed.ref.value) ?? [];
    this.#last = { ...this.#last, filterSet };
  }

  close(): void {
    for (const { filter, follower } of this.#followed.values()) filter.unfollow(follower);
    this.#followed.clear();
  }

  /** True for the line's version, and for the one before, whose answer may have been lost. */
  knows(version: string): boolean {
    return version === this.version || (this.#last !== undefined && version === this.#versionOf(this.#count - 1));
  }

  /** What changed since `version`, of at most `most` objects; undefined when nothing did. */
  take(version: string, most: number): Promise<UpdateSet | undefined> {
    return this.#turns.take(() => this.#take(version, most));
  }

  async #take(version: string, most: number): Promise<UpdateSet | undefined> {
    if (version !== this.version) return this.#last;
    const slice = new TimeSlice();
    const filterSet: PropertyFilterUpdate[] = [];
    let room = most;
    for (const { ref, follower } of this.#followed.values()) {
      if (room === 0) break;
      const objectSet: ObjectUpdate[] = [];
      const missingSet: readonly MissingObject[] = follower.takeMissing();
      await follower.take(objectSet, { most: room, slice });
      room -= objectSet.length;
      if (objectSet.length === 0 && missingSet.length === 0) continue;
      filterSet.push({
        filter: ref,
        ...(objectSet.length > 0 ? { objectSet } : {}),
        ...(missingSet.length > 0 ? { missingSet } : {}),
      });
    }
    if (filterSet.length === 0) return undefined;
    this.#count += 1;
    this.#last = { version: this.version, filterSet, ...(this.hasMarks && room === 0 ? { truncated: true } : {}) };
    return this.#last;
  }

  #versionOf(count: number): string {
    return `${this.id}.${count}`;
  }
}
