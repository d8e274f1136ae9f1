import type { Registry } from '../runtime/registry.ts';
import type { ManagedObjectReference } from '../schema/values.ts';
import type { ChangeFeed } from './change-feed.ts';
import { compileContainerLinks } from './container-links.ts';
import { LinkGraph } from './link-graph.ts';
import { PropertySets } from './property-sets.ts';
import { ReferenceSets } from './reference-set.ts';
import type { Link, Start } from './traversal.ts';

/** The objects that a view shows. */
export interface ViewContents {
  /** The references of those types and of types derived from them, of all without: the same array until it changes. */
  list(types: readonly string[]): readonly ManagedObjectReference[];
  close(): void;
}

/** Objects reached from some starts, kept true, and listed when somebody looks. */
export class FollowedContents implements ViewContents {
  readonly #registry: Registry;
  readonly #graph: LinkGraph;
  /** What is shown, to tell a member's own change from one of membership. */
  readonly #members = new Set<string>();
  /** Lists by their types, until something changes. */
  readonly #lists = new Map<string, readonly ManagedObjectReference[]>();

  constructor(
    starts: readonly Start[],
    options: {
      readonly registry: Registry;
      readonly references: ReferenceSets;
      readonly feed: ChangeFeed;
      readonly onChange: () => void;
    },
  ) {
    const { registry, onChange } = options;
    this.#registry = registry;
    this.#graph = new LinkGraph({
      ...options,
      starts,
      onChange: (value) => {
        if (!this.#moved(value)) return;
        this.#lists.clear();
        onChange();
      },
    });
  }

  build(): Promise<void> {
    return this.#graph.build();
  }

  list(types: readonly string[]): readonly ManagedObjectReference[] {
    const key = types.join();
    let list = this.#lists.get(key);
    if (list === undefined) {
      const { schema } = this.#registry;
      const found: ManagedObjectReference[] = [];
      for (const { selected, object } of this.#graph.entries()) {
        if (selected === 0 || object === undefined || object.removed) continue;
        const { ref } = object;
        if (types.length === 0 || types.some((type) => schema.isSubtype(ref.type, type))) found.push(ref);
      }
      list = found;
      this.#lists.set(key, list);
    }
    return list;
  }

  close(): void {
    this.#graph.close();
  }

  #moved(value: string): boolean {
    const entry = this.#graph.entry(value);
    const present = entry !== undefined && entry.selected > 0 && entry.object !== undefined && !entry.object.removed;
    if (present === this.#members.has(value)) return false;
    if (present) this.#members.add(value);
    else this.#members.delete(value);
    return true;
  }
}

interface Shared {
  readonly contents: FollowedContents;
  readonly ready: Promise<void>;
  readonly listeners: Set<() => void>;
}

/** The contents of containers: those who look at one container share the work of following it. */
export class ContainerContents {
  readonly #registry: Registry;
  readonly #feed: ChangeFeed;
  readonly #references = new ReferenceSets();
  readonly #links: { readonly deep: readonly Link[]; readonly shallow: readonly Link[] };
  readonly #shared = new Map<string, Shared>();

  constructor({ registry, feed }: { readonly registry: Registry; readonly feed: ChangeFeed }) {
    this.#registry = registry;
    this.#feed = feed;
    const sets = new PropertySets(registry.schema);
    this.#links = {
      deep: compileContainerLinks(sets, { recursive: true }),
      shallow: compileContainerLinks(sets, { recursive: false }),
    };
  }

  /** The children of a container, with `recursive` theirs too. `onChange` runs when some came or went. */
  async follow(
    container: ManagedObjectReference,
    { recursive, onChange }: { readonly recursive: boolean; readonly onChange: () => void },
  ): Promise<ViewContents> {
    const key = `${recursive} ${container.value}`;
    let shared = this.#shared.get(key);
    if (shared === undefined) {
      const listeners = new Set<() => void>();
      const links = recursive ? this.#links.deep : this.#links.shallow;
      const contents = this.#open([{ ref: container, skip: true, links }], () => {
        for (const listener of listeners) listener();
      });
      shared = { contents, ready: contents.build(), listeners };
      this.#shared.set(key, shared);
    }
    const { contents, ready, listeners } = shared;
    listeners.add(onChange);
    const close = () => {
      listeners.delete(onChange);
      if (listeners.size > 0 || this.#shared.get(key)?.contents !== contents) return;
      this.#shared.delete(key);
      contents.close();
    };
    try {
      await ready;
    } catch (error) {
      close();
      throw error;
    }
    return { list: (types) => contents.list(types), close };
  }

  /** These objects, and the children of those that are opened. */
  async followThese(
    objects: ReadonlyMap<string, ManagedObjectReference>,
    {
      opened,
      onChange,
    }: { readonly opened: ReadonlyMap<string, ManagedObjectReference>; readonly onChange: () => void },
  ): Promise<ViewContents> {
    const starts = [
      ...[...objects.values()].map((ref) => ({ ref, skip: false, links: [] })),
      ...[...opened.values()].map((ref) => ({ ref, skip: true, links: this.#links.shallow })),
    ];
    const contents = this.#open(starts, onChange);
    await contents.build();
    return contents;
  }

  #open(starts: readonly Start[], onChange: () => void): FollowedContents {
    return new FollowedContents(starts, {
      registry: this.#registry,
      references: this.#references,
      feed: this.#feed,
      onChange,
    });
  }
}
