import type { ManagedObject } from '../runtime/managed-object.ts';
import type { Registry } from '../runtime/registry.ts';
import type { ManagedObjectReference } from '../schema/values.ts';
import type { Access } from './access.ts';
import { type ChangeFeed, Follower } from './change-feed.ts';
import { noReferences, type ReferenceSet, type ReferenceSets } from './reference-set.ts';
import { TimeSlice } from './time-slice.ts';
import type { Link, Start } from './traversal.ts';

export interface LinkGraphOptions {
  readonly registry: Registry;
  readonly references: ReferenceSets;
  readonly starts: readonly Start[];
  /** Whose eyes it looks with; sees everything without. */
  readonly access?: Access | undefined;
  /** Follows changes when given; else it is a look at one moment. */
  readonly feed?: ChangeFeed;
  /** Told of each object that may have changed, entered or left. */
  readonly onChange?: (value: string) => void;
}

/** A link at work on one object. */
interface Hop {
  readonly link: Link;
  readonly entry: GraphEntry;
  /** Ways that lead here. */
  count: number;
  targets: ReferenceSet;
  /** Commit of the link's property that `targets` shows. */
  version: number;
}

interface Arcs {
  readonly references: Iterator<ManagedObjectReference>;
  readonly skip: boolean;
  readonly links: readonly Link[];
}

/** An object in a graph: selected, or passed through on the way to others. */
export class GraphEntry extends Follower {
  readonly ref: ManagedObjectReference;
  readonly graph: LinkGraph;
  object: ManagedObject | undefined;
  /** Ways on which it is selected. */
  selected = 0;
  hops: Hop[] | undefined;

  constructor(graph: LinkGraph, ref: ManagedObjectReference, object: ManagedObject | undefined) {
    super(ref.value);
    this.graph = graph;
    this.object = object;
    this.ref = object?.ref ?? ref;
  }

  override changed(): void {
    this.graph.entryChanged(this);
  }
}

/**
 * The objects that starts and links lead to, kept true while links change.
 *
 * Each object counts the ways that lead to it, so that a changed link costs what it gained and lost. Only where links
 * may run in circles does a loss mean counting anew.
 */
export class LinkGraph {
  readonly #registry: Registry;
  readonly #references: ReferenceSets;
  readonly #starts: readonly Start[];
  readonly #access: Access | undefined;
  readonly #feed: ChangeFeed | undefined;
  readonly #onChange: (value: string) => void;
  readonly #entries = new Map<string, GraphEntry>();
  /** Gains are counted before losses, so that what only moved stays. */
  #gains: Arcs[] = [];
  #losses: Arcs[] = [];
  #recount = false;
  /** Objects to look at again with the eyes that the reader has now. */
  #again: Iterator<GraphEntry> | undefined;

  constructor({ registry, references, starts, access, feed, onChange = () => {} }: LinkGraphOptions) {
    this.#registry = registry;
    this.#references = references;
    this.#starts = starts;
    this.#access = access;
    this.#feed = feed;
    this.#onChange = onChange;
  }

  /** Follows the links from the starts, letting others run in between. */
  async build(): Promise<void> {
    this.#addStarts();
    const slice = new TimeSlice();
    while (!this.work(slice)) await slice.rest();
  }

  /** Looks again at every object: the reader's rights changed. */
  lookAgain(): void {
    this.#again = [...this.#entries.values()].values();
    this.#feed?.hasWork(this);
  }

  entry(value: string): GraphEntry | undefined {
    return this.#entries.get(value);
  }

  /** All objects in the order in which they were found, those passed through among them. */
  entries(): IterableIterator<GraphEntry> {
    return this.#entries.values();
  }

  /** Counts gains and losses until the slice is over; true when all are counted. */
  work(slice: TimeSlice): boolean {
    for (;;) {
      const gaining = this.#gains.length > 0;
      const queue = gaining ? this.#gains : this.#losses;
      const arcs = queue.at(-1);
      if (arcs === undefined) {
        const again = this.#again?.next();
        if (again !== undefined && again.done !== true) {
          this.entryChanged(again.value);
          if (slice.isOver()) return false;
          continue;
        }
        this.#again = undefined;
        if (!this.#recount) return true;
        this.#countAnew();
        continue;
      }
      const next = arcs.references.next();
      if (next.done === true) {
        queue.pop();
        continue;
      }
      if (gaining) this.#gain(next.value, arcs.skip, arcs.links);
      else this.#lose(next.value, arcs.skip, arcs.links);
      if (slice.isOver()) return false;
    }
  }

  /** Looks again at an object that changed. */
  entryChanged(entry: GraphEntry): void {
    if (this.#entries.get(entry.value) !== entry) return;
    entry.object = this.#registry.get(entry.ref);
    if (entry.hops !== undefined) for (const hop of entry.hops) this.#follow(hop);
    if (entry.selected > 0) this.#onChange(entry.value);
  }

  /** Stops following changes. */
  close(): void {
    if (this.#feed === undefined) return;
    for (const entry of this.#entries.values()) this.#feed.unfollow(entry);
    this.#entries.clear();
    this.#gains = [];
    this.#losses = [];
    this.#again = undefined;
  }

  #addStarts(): void {
    for (let i = this.#starts.length - 1; i >= 0; i -= 1) {
      const { ref, skip, links } = this.#starts[i] as Start;
      this.#gains.push({ references: [ref].values(), skip, links });
    }
  }

  #gain(ref: ManagedObjectReference, skip: boolean, links: readonly Link[]): void {
    let entry = this.#entries.get(ref.value);
    if (entry === undefined) {
      entry = new GraphEntry(this, ref, this.#registry.get(ref));
      this.#entries.set(ref.value, entry);
      this.#feed?.follow(entry);
    }
    if (!skip) {
      entry.selected += 1;
      if (entry.selected === 1) this.#onChange(entry.value);
    }
    for (const link of links) {
      if (!this.#registry.schema.isSubtype(entry.ref.type, link.type)) continue;
      entry.hops ??= [];
      let hop = entry.hops.find((known) => known.link === link);
      if (hop === undefined) {
        hop = { link, entry, count: 0, targets: noReferences, version: -1 };
        entry.hops.push(hop);
        this.#follow(hop);
      }
      hop.count += 1;
    }
  }

  #lose(ref: ManagedObjectReference, skip: boolean, links: readonly Link[]): void {
    const entry = this.#entries.get(ref.value);
    if (entry === undefined) return;
    if (!skip) {
      entry.selected -= 1;
      if (entry.selected === 0) this.#onChange(entry.value);
    }
    for (const link of links) {
      const hop = entry.hops?.find((known) => known.link === link);
      if (hop === undefined) continue;
      hop.count -= 1;
      if (hop.count === 0) this.#drop(hop);
      else if (link.cyclic) this.#recount = true;
    }
    this.#forgetIfUnused(entry);
  }

  #drop(hop: Hop): void {
    const { entry, link, targets } = hop;
    entry.hops = entry.hops?.filter((other) => other !== hop);
    if (entry.hops?.length === 0) entry.hops = undefined;
    if (targets.size > 0) this.#losses.push({ references: targets.values(), skip: link.skip, links: link.next });
  }

  #forgetIfUnused(entry: GraphEntry): void {
    if (entry.selected > 0 || entry.hops !== undefined) return;
    this.#entries.delete(entry.value);
    this.#feed?.unfollow(entry);
  }

  /** Reads a link, and queues what it gained and lost. */
  #follow(hop: Hop): void {
    const { entry, link } = hop;
    const { object } = entry;
    let targets = noReferences;
    if (object !== undefined && this.#mayFollow(object, link)) {
      const version = Math.max(object.propertyVersion(link.accessor.root.name), object.addedIn);
      if (version === hop.version) return;
      hop.version = version;
      targets = this.#references.of(link.accessor.readLink(object));
    } else {
      hop.version = -1;
    }
    if (targets === hop.targets) return;
    const before = hop.targets;
    hop.targets = targets;
    const { skip, next: links } = link;
    if (before.size === 0) {
      this.#gains.push({ references: targets.values(), skip, links });
    } else if (targets.size === 0) {
      this.#losses.push({ references: before.values(), skip, links });
    } else {
      const { added, removed } = this.#references.difference(before, targets);
      if (added.length > 0) this.#gains.push({ references: added.values(), skip, links });
      if (removed.length > 0) this.#losses.push({ references: removed.values(), skip, links });
    }
    this.#feed?.hasWork(this);
  }

  #mayFollow(object: ManagedObject, link: Link): boolean {
    const access = this.#access;
    return access === undefined || (access.sees(object) && access.mayRead(object, link.accessor.privilege));
  }

  /** Counts all ways from the starts again: what runs in a circle holds itself up otherwise. */
  #countAnew(): void {
    this.#recount = false;
    const before = new Map<GraphEntry, number>();
    const hops = new Set<Hop>();
    for (const entry of this.#entries.values()) {
      before.set(entry, entry.selected);
      entry.selected = 0;
      for (const hop of entry.hops ?? []) hop.count = 0;
    }
    const queue: Hop[] = [];
    const arrive = (value: string, skip: boolean, links: readonly Link[]) => {
      const entry = this.#entries.get(value);
      if (entry === undefined) return;
      if (!skip) entry.selected += 1;
      for (const hop of entry.hops ?? []) {
        if (!links.includes(hop.link)) continue;
        hop.count += links.filter((link) => link === hop.link).length;
        if (hops.has(hop)) continue;
        hops.add(hop);
        queue.push(hop);
      }
    };
    for (const { ref, skip, links } of this.#starts) arrive(ref.value, skip, links);
    for (let hop = queue.pop(); hop !== undefined; hop = queue.pop()) {
      for (const value of hop.targets.keys()) arrive(value, hop.link.skip, hop.link.next);
    }
    for (const [entry, selected] of before) {
      entry.hops = entry.hops?.filter((hop) => hop.count > 0);
      if (entry.hops?.length === 0) entry.hops = undefined;
      if (selected > 0 && entry.selected === 0) this.#onChange(entry.value);
      this.#forgetIfUnused(entry);
    }
  }
}
