import type { ManagedObject } from '../runtime/managed-object.ts';
import type { ChangeCursor, Registry } from '../runtime/registry.ts';
import { TimeSlice } from './time-slice.ts';

/** Interest in one object. */
export abstract class Follower {
  readonly value: string;
  /** Others interested in the same object. */
  nextFollower: Follower | undefined;
  previousFollower: Follower | undefined;

  constructor(value: string) {
    this.value = value;
  }

  /** The object was added, changed or removed. */
  abstract changed(): void;
}

/** Something that has more to do after a change than fits in telling it. */
export interface Workload {
  /** Works until the slice is over; true when nothing is left. */
  work(slice: TimeSlice): boolean;
}

/** Time between two rounds where changes do not end, in milliseconds: many of them wake followers once. */
const roundMilliseconds = 20;
/** Rounds that may follow each other at once after quiet: the changes of one task are told as they come. */
const roundsAtOnce = 8;

/** Brings each change to those who follow the object, in rounds: a few at once, then one in 20 ms. */
export class ChangeFeed {
  readonly #registry: Registry;
  readonly #cursor: ChangeCursor;
  readonly #unsubscribe: () => void;
  /** First follower of each object, by its reference's value. */
  readonly #followers = new Map<string, Follower>();
  readonly #workloads = new Set<Workload>();
  readonly #projections = new Set<() => void>();
  readonly #listeners = new Set<() => void>();
  #timer: NodeJS.Timeout | NodeJS.Immediate | undefined;
  /** Rounds that may go at once, as of `#lastRound`; one comes back in each 20 ms between rounds. */
  #rounds = roundsAtOnce;
  #lastRound = performance.now();
  #round: Promise<void> | undefined;
  readonly #onDefect: (error: unknown) => void;

  constructor(registry: Registry, { onDefect = () => {} }: { readonly onDefect?: (error: unknown) => void } = {}) {
    this.#registry = registry;
    this.#onDefect = onDefect;
    this.#cursor = registry.follow();
    this.#unsubscribe = registry.onCommit(() => this.#schedule());
  }

  follow(follower: Follower): void {
    const first = this.#followers.get(follower.value);
    follower.nextFollower = first;
    if (first !== undefined) first.previousFollower = follower;
    this.#followers.set(follower.value, follower);
  }

  unfollow(follower: Follower): void {
    const { previousFollower: previous, nextFollower: next, value } = follower;
    if (next !== undefined) next.previousFollower = previous;
    if (previous !== undefined) previous.nextFollower = next;
    else if (this.#followers.get(value) === follower) {
      if (next === undefined) this.#followers.delete(value);
      else this.#followers.set(value, next);
    }
    follower.nextFollower = undefined;
    follower.previousFollower = undefined;
  }

  /** Takes up work; when it does not come of a change, it has a round of its own. */
  hasWork(workload: Workload): void {
    this.#workloads.add(workload);
    this.#schedule();
  }

  /** Runs `project` when changes are through, before anybody is woken: it may commit what follows from them. */
  onChanges(project: () => void): () => void {
    this.#projections.add(project);
    return () => this.#projections.delete(project);
  }

  /** Runs `listener` when changes are through, and what follows from them too. */
  onSettled(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Resolves when everything committed before is with its followers. */
  async settle(): Promise<void> {
    const version = this.#registry.version;
    while (this.#cursor.version < version || this.#workloads.size > 0 || this.#round !== undefined) {
      this.#round ??= this.#run().finally(() => {
        this.#round = undefined;
        this.#ended();
        if (this.#cursor.version < this.#registry.version || this.#workloads.size > 0) this.#schedule();
      });
      await this.#round;
    }
  }

  close(): void {
    this.#unsubscribe();
    this.#clearTimer();
    this.#cursor.close();
  }

  #schedule(): void {
    if (this.#timer !== undefined || this.#round !== undefined) return;
    const due = (1 - this.#roundsNow()) * roundMilliseconds;
    const run = () => {
      this.#timer = undefined;
      this.settle().catch(this.#onDefect);
    };
    this.#timer = due <= 0 ? setImmediate(run) : setTimeout(run, due);
  }

  #clearTimer(): void {
    if (this.#timer === undefined) return;
    clearTimeout(this.#timer as NodeJS.Timeout);
    clearImmediate(this.#timer as NodeJS.Immediate);
    this.#timer = undefined;
  }

  #roundsNow(): number {
    return Math.min(roundsAtOnce, this.#rounds + (performance.now() - this.#lastRound) / roundMilliseconds);
  }

  /** The time that a round takes brings none back: where they are long, there is as much time between them. */
  #ended(): void {
    this.#rounds = Math.max(0, this.#rounds - 1);
    this.#lastRound = performance.now();
  }

  async #run(): Promise<void> {
    this.#clearTimer();
    this.#rounds = this.#roundsNow();
    const slice = new TimeSlice();
    for (let settled = false; !settled; ) {
      const version = this.#registry.version;
      const changed = this.#followers.size === 0 ? [] : [...this.#registry.changedSince(this.#cursor.version)];
      // Oldest first: what was there before is told before what came of it.
      for (let i = changed.length - 1; i >= 0; i -= 1) {
        this.#tell(changed[i] as ManagedObject);
        if (slice.isOver()) await slice.rest();
      }
      for (const workload of this.#workloads) {
        while (!this.#work(workload, slice)) await slice.rest();
        this.#workloads.delete(workload);
      }
      this.#cursor.advance(version);
      const before = this.#registry.version;
      for (const project of this.#projections) project();
      settled = this.#registry.version === before;
    }
    for (const listener of this.#listeners) listener();
  }

  #tell(object: ManagedObject): void {
    const followers: Follower[] = [];
    for (let at = this.#followers.get(object.ref.value); at !== undefined; at = at.nextFollower) followers.push(at);
    for (const follower of followers) {
      try {
        follower.changed();
      } catch (error) {
        // One object that cannot be read does not stop the others.
        this.#onDefect(error);
      }
    }
  }

  #work(workload: Workload, slice: TimeSlice): boolean {
    try {
      return workload.work(slice);
    } catch (error) {
      this.#onDefect(error);
      return false;
    }
  }
}
