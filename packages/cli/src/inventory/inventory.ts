import type { ManagedObjectReference } from '@hypostyle/vim';
import { CliError } from '../errors.ts';

/** Kinds of inventory objects that commands look for, with what is also one. */
const kinds = {
  VirtualMachine: { name: 'machine', types: ['VirtualMachine'] },
  Datastore: { name: 'datastore', types: ['Datastore'] },
  Network: { name: 'network', types: ['Network', 'DistributedVirtualPortgroup', 'OpaqueNetwork'] },
  Datacenter: { name: 'datacenter', types: ['Datacenter'] },
  Folder: { name: 'folder', types: ['Folder', 'StoragePod'] },
  HostSystem: { name: 'host', types: ['HostSystem'] },
  ComputeResource: { name: 'compute resource', types: ['ComputeResource', 'ClusterComputeResource'] },
  ClusterComputeResource: { name: 'cluster', types: ['ClusterComputeResource'] },
  VirtualApp: { name: 'vApp', types: ['VirtualApp'] },
  ResourcePool: { name: 'resource pool', types: ['ResourcePool', 'VirtualApp'] },
} as const;

export type InventoryKind = keyof typeof kinds;

export const inventoryKinds = Object.keys(kinds) as readonly InventoryKind[];

/** The kinds in the words of people. */
export const objectKindNames: readonly string[] = Object.values(kinds).map(({ name }) => name);

/** The types of a kind that is named as people name it. */
export function typesOfKind(name: string): readonly string[] | undefined {
  return Object.values(kinds).find((kind) => kind.name === name)?.types;
}

/** Which command lists them, where one does. */
const listings: Readonly<Partial<Record<InventoryKind, string>>> = {
  VirtualMachine: 'hypo ls',
  Datastore: 'hypo datastore ls',
  Datacenter: 'hypo datacenter ls',
  Folder: 'hypo folder ls',
  HostSystem: 'hypo host ls',
  ClusterComputeResource: 'hypo cluster ls',
  VirtualApp: 'hypo vapp ls',
  ResourcePool: 'hypo pool ls',
};

/** An object as the server tells it: the name escaped. */
export interface InventoryEntry {
  readonly ref: ManagedObjectReference;
  readonly name: string;
  /** Id of what it lies in; missing at the root, and where that cannot be seen. */
  readonly parent?: string;
}

export interface InventoryObject<T extends InventoryKind = InventoryKind> {
  readonly ref: ManagedObjectReference<T>;
  /** As people write it. */
  readonly name: string;
  /** Such as `/Datacenter/vm/web/db`; a `/` within a name is `%2f`. */
  readonly path: string;
}

interface Known {
  readonly entry: InventoryEntry;
  readonly object: InventoryObject;
}

/** The inventory of a server at one moment: what there is, where, and what a word of a person means. */
export class Inventory {
  readonly #known = new Map<string, Known>();
  readonly #root: string;

  constructor(rootFolder: string, entries: Iterable<InventoryEntry>) {
    this.#root = rootFolder;
    const byId = new Map<string, InventoryEntry>();
    for (const entry of entries) byId.set(entry.ref.value, entry);
    for (const entry of byId.values()) {
      const path = entry.ref.value === rootFolder ? '/' : pathOf(entry, byId, rootFolder);
      const object = { ref: entry.ref, name: decodeName(entry.name), path } as InventoryObject;
      this.#known.set(entry.ref.value, { entry, object });
    }
  }

  /** Every object of a kind, by path. */
  all<T extends InventoryKind>(kind: T): readonly InventoryObject<T>[] {
    const types: readonly string[] = kinds[kind].types;
    const found = [...this.#known.values()].filter(({ entry }) => types.includes(entry.ref.type));
    return found
      .map(({ object }) => object as InventoryObject<T>)
      .sort((a, b) => a.path.localeCompare(b.path, 'en', { numeric: true }));
  }

  byId(id: string): InventoryObject | undefined {
    return this.#known.get(id)?.object;
  }

  parentOf({ ref }: { readonly ref: ManagedObjectReference }): InventoryObject | undefined {
    const parent = this.#known.get(ref.value)?.entry.parent;
    return parent === undefined ? undefined : this.byId(parent);
  }

  /** What an object lies in as people see it: a host of its own has a compute resource that nobody speaks of. */
  placeOf(object: { readonly ref: ManagedObjectReference }): InventoryObject | undefined {
    const parent = this.parentOf(object);
    return parent?.ref.type === 'ComputeResource' ? this.parentOf(parent) : parent;
  }

  /** The nearest object of a kind that an object lies in, or is. */
  within<T extends InventoryKind>(
    object: { readonly ref: ManagedObjectReference },
    kind: T,
  ): InventoryObject<T> | undefined {
    const types: readonly string[] = kinds[kind].types;
    for (let at = this.byId(object.ref.value); at !== undefined; at = this.parentOf(at)) {
      if (types.includes(at.ref.type)) return at as InventoryObject<T>;
    }
    return undefined;
  }

  /** Whether an object lies below another, at whatever depth, or is that. */
  isBelow(object: { readonly ref: ManagedObjectReference }, other: { readonly ref: ManagedObjectReference }): boolean {
    for (let at = this.byId(object.ref.value); at !== undefined; at = this.parentOf(at)) {
      if (at.ref.value === other.ref.value) return true;
    }
    return false;
  }

  childrenOf({ ref }: { readonly ref: ManagedObjectReference }): readonly InventoryObject[] {
    return [...this.#known.values()]
      .filter(({ entry }) => entry.parent === ref.value && entry.ref.value !== ref.value)
      .map(({ object }) => object)
      .sort((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true }));
  }

  get root(): InventoryObject<'Folder'> {
    const root = this.byId(this.#root);
    return (root ?? {
      ref: { type: 'Folder', value: this.#root },
      name: '/',
      path: '/',
    }) as InventoryObject<'Folder'>;
  }

  /**
   * What a person means by a name, a path, the end of a path, or an id. The first way that finds anything counts.
   * Throws `not-found`, and `failed` with the paths where a name means more than one.
   */
  find<T extends InventoryKind>(
    kind: T | readonly T[],
    text: string,
    { within }: { readonly within?: { readonly ref: ManagedObjectReference } | undefined } = {},
  ): InventoryObject<T> {
    const wanted: readonly T[] = typeof kind === 'string' ? [kind] : kind;
    const candidates = wanted
      .flatMap((one) => [...this.all(one)])
      .filter((object) => within === undefined || this.isBelow(object, within));
    const found = this.#match([...new Map(candidates.map((one) => [one.ref.value, one])).values()], text);
    const [only] = found;
    const what = wanted.length > 4 ? 'object' : wanted.map((one) => kinds[one].name).join(' or ');
    if (only === undefined) throw missing(what, text, candidates, wanted);
    if (found.length > 1) {
      const same = new Set(found.map(({ path }) => path)).size < found.length;
      const spelled = found.slice(0, 10).map(({ path, ref }) => (same ? `${ref.value} (${path})` : path));
      throw new CliError('failed', `'${text}' may be any of ${found.length}.`, {
        next: `Say which${wanted.length > 2 ? '' : ` ${what}`}: ${spelled.join(', ')}${found.length > 10 ? ', …' : ''}.`,
      });
    }
    return only;
  }

  #match<T extends InventoryObject>(candidates: readonly T[], text: string): readonly T[] {
    const path = text.length > 1 ? text.replace(/\/+$/, '') : text;
    const ways: readonly ((object: T) => boolean)[] = [
      // A host of its own is in a compute resource of the same name, which nobody cares to write.
      (object) => object.path === path || this.#shortPath(object) === path,
      ({ name, ref }) => name === text || this.#known.get(ref.value)?.entry.name === text,
      (object) => text.includes('/') && !text.startsWith('/') && object.path.endsWith(`/${path}`),
      ({ ref }) => ref.value === text,
    ];
    for (const way of ways) {
      const found = candidates.filter(way);
      if (found.length > 0) return found;
    }
    return [];
  }

  #shortPath(object: InventoryObject): string | undefined {
    return object.ref.type === 'HostSystem' ? this.parentOf(object)?.path : undefined;
  }
}

function missing(
  what: string,
  text: string,
  candidates: readonly InventoryObject[],
  [kind]: readonly InventoryKind[],
): CliError {
  const listing = kind === undefined ? undefined : listings[kind];
  const known = candidates.slice(0, 10).map(({ name }) => `'${name}'`);
  const next =
    listing !== undefined
      ? `'${listing}' lists them.`
      : known.length > 0
        ? `There are ${known.join(', ')}.`
        : undefined;
  return new CliError('not-found', `There is no ${what} '${text}'.`, next === undefined ? {} : { next });
}

function pathOf(entry: InventoryEntry, byId: ReadonlyMap<string, InventoryEntry>, root: string): string {
  const names: string[] = [];
  const seen = new Set<string>();
  for (let at: InventoryEntry | undefined = entry; at !== undefined && at.ref.value !== root; ) {
    if (seen.has(at.ref.value)) break;
    seen.add(at.ref.value);
    names.unshift(at.name);
    at = at.parent === undefined ? undefined : byId.get(at.parent);
  }
  return `/${names.join('/')}`;
}

/** Names carry `/`, `\` and `%` escaped. */
export function decodeName(name: string): string {
  return name.replace(/%(2f|5c|25)/gi, (_match, code: string) => String.fromCharCode(Number.parseInt(code, 16)));
}

/** A name as servers take it. */
export function encodeName(name: string): string {
  return name.replace(/[%/\\]/g, (sign) => `%${sign.charCodeAt(0).toString(16)}`);
}
