import type { Store, StoreWrite } from '@hypostyle/contracts';
import { entityDefaults } from '@hypostyle/services';
import {
  type Draft,
  fault,
  fromDocument,
  type ManagedObjectClass,
  type ManagedObjectReference,
  type Registry,
  Turns,
  toDocument,
} from '@hypostyle/vim';
import type { ReferenceNumbers } from '../references/reference-numbers.ts';
import {
  type DocumentOf,
  type EntityDocument,
  type EntityType,
  isCompute,
  isPool,
  isShown,
  referenceOf,
} from './entity-document.ts';
import { Relation } from './relation.ts';

const collection = 'entity';

export type EntityClasses = { readonly [T in EntityType]: ManagedObjectClass<T> };
type Properties = Readonly<Record<string, unknown>>;

/** How documents become managed objects. */
export interface Presentation {
  readonly classes: EntityClasses;
  /** Every compute resource has an EnvironmentBrowser, which comes and goes with it. */
  readonly environmentBrowser: ManagedObjectClass<'EnvironmentBrowser'>;
  /** What every entity shows whatever it is, such as its custom fields. */
  readonly common: (ref: ManagedObjectReference) => Properties;
}

/** A change of the inventory in the making: checked against what is there, written down, then shown at once. */
export interface InventoryEdit {
  /** The document as this change has it. */
  find(value: string): EntityDocument | undefined;
  children(parent: string): EntityDocument[];
  /** vApps that a folder of machines shows among its own. */
  vAppsIn(folder: string): DocumentOf<'VirtualApp'>[];
  machinesInPool(pool: string): DocumentOf<'VirtualMachine'>[];
  /** A reference's value that nothing ever had. */
  mint(prefix: string): string;
  /** Adds or replaces; `properties` are what the entity shows beside what its document says. */
  put(document: EntityDocument, properties?: Properties): void;
  /** Takes an entity out; those below it must be gone or go with it. */
  remove(value: string): void;
  /** Writes that come true with this change. */
  write(...writes: readonly StoreWrite[]): void;
  /** Runs in the commit that shows the change: for events, and properties of others. */
  show(run: (draft: Draft) => void): void;
}

/**
 * The inventory tree of a center: an entity a document. One change at a time is checked, made durable, and then shown
 * by one commit, so that nobody sees what a crash could take back.
 */
export class Inventory {
  readonly registry: Registry;
  /** Machines by what they use: datastores and networks. */
  readonly uses = new Relation();
  readonly #store: Store;
  readonly #numbers: ReferenceNumbers;
  readonly #documents = new Map<string, EntityDocument>();
  readonly #below = new Relation();
  readonly #onHost = new Relation();
  readonly #inPool = new Relation();
  readonly #ofInstance = new Relation();
  readonly #vApps = new Relation();
  readonly #turns = new Turns();
  readonly #removed = new Set<(ref: ManagedObjectReference) => void>();
  #presentation: Presentation | undefined;

  private constructor(registry: Registry, store: Store, numbers: ReferenceNumbers) {
    this.registry = registry;
    this.#store = store;
    this.#numbers = numbers;
  }

  static async open(registry: Registry, store: Store, numbers: ReferenceNumbers): Promise<Inventory> {
    const inventory = new Inventory(registry, store, numbers);
    for (const { value } of await store.list(collection)) inventory.#index(fromDocument<EntityDocument>(value));
    return inventory;
  }

  /** Shows every entity that is remembered; `properties` are what was last known of it. */
  showAll(presentation: Presentation, properties: (document: EntityDocument) => Properties): void {
    this.#presentation = presentation;
    this.registry.commit((draft) => {
      for (const document of this.#documents.values())
        if (isShown(document)) this.#add(draft, document, properties(document));
    });
  }

  find(value: string): EntityDocument | undefined {
    return this.#documents.get(value);
  }

  /** The document of an entity of that type. Throws ManagedObjectNotFound. */
  get<T extends EntityType>(type: T, ref: { readonly value: string }): DocumentOf<T> {
    const document = this.#documents.get(ref.value);
    if (document?.type !== type) {
      const obj: ManagedObjectReference = { _typeName: 'ManagedObjectReference', type, value: ref.value };
      throw fault('ManagedObjectNotFound', { obj }, `There is no ${type} ${ref.value} here.`);
    }
    return document as DocumentOf<T>;
  }

  *all<T extends EntityType>(type: T): IterableIterator<DocumentOf<T>> {
    for (const document of this.#documents.values()) if (document.type === type) yield document as DocumentOf<T>;
  }

  children(parent: string): EntityDocument[] {
    return this.#resolved(this.#below.members(parent));
  }

  /** vApps that a folder of machines shows among its own. */
  vAppsIn(folder: string): DocumentOf<'VirtualApp'>[] {
    return this.#resolved(this.#vApps.members(folder)) as DocumentOf<'VirtualApp'>[];
  }

  machinesOnHost(host: string): DocumentOf<'VirtualMachine'>[] {
    return this.#resolved(this.#onHost.members(host)) as DocumentOf<'VirtualMachine'>[];
  }

  machinesInPool(pool: string): DocumentOf<'VirtualMachine'>[] {
    return this.#resolved(this.#inPool.members(pool)) as DocumentOf<'VirtualMachine'>[];
  }

  machinesOfInstance(instanceUuid: string): DocumentOf<'VirtualMachine'>[] {
    return this.#resolved(this.#ofInstance.members(instanceUuid)) as DocumentOf<'VirtualMachine'>[];
  }

  /** The nearest entity of a type at or above. */
  above<T extends EntityType>(value: string, types: readonly T[]): DocumentOf<T> | undefined {
    for (let at = this.#documents.get(value); at !== undefined; ) {
      if ((types as readonly string[]).includes(at.type)) return at as DocumentOf<T>;
      at = at.parent === undefined ? undefined : this.#documents.get(at.parent);
    }
    return undefined;
  }

  /** Runs `listener` once an entity is gone for good. */
  onRemoved(listener: (ref: ManagedObjectReference) => void): void {
    this.#removed.add(listener);
  }

  /** Makes a change: alone, durable, then shown. Throws what `work` throws, with nothing changed. */
  edit<R>(work: (edit: InventoryEdit) => R | Promise<R>): Promise<R> {
    return this.#turns.take(async () => {
      const change = new Change(this, this.#numbers);
      const result = await work(change);
      await this.#numbers.settled();
      if (change.writes.length > 0) await this.#store.transact(change.writes);
      this.registry.commit((draft) => this.#apply(draft, change));
      for (const ref of change.removed) for (const listener of this.#removed) listener(ref);
      return result;
    });
  }

  #apply(draft: Draft, change: Change): void {
    const before = new Map([...change.documents.keys()].map((value) => [value, this.#documents.get(value)]));
    for (const [value, after] of change.documents) {
      const old = before.get(value);
      if (old === undefined || old.type === after?.document.type) continue;
      this.#remove(draft, old);
      change.removed.push(referenceOf(old));
    }
    // All are known before the first is shown: they name one another.
    const touched: string[] = [];
    for (const after of change.documents.values())
      if (after !== undefined)
        touched.push(...this.#index(after.document), ...newlyShown(before.get(after.document.value), after.document));
    for (const after of change.documents.values()) {
      if (after === undefined) continue;
      const { document, properties } = after;
      if (!isShown(document)) continue;
      if (!draft.has(referenceOf(document))) {
        this.#add(draft, document, properties);
        // One that was expected had its place before anybody saw it.
        touched.push(...listedBy(document));
      } else draft.set(referenceOf(document), { ...stored(document, this), ...properties } as never);
      // What pools show is made of their documents.
      if (isPool(document)) touched.push(document.value);
    }
    this.#touch(draft, touched);
    for (const show of change.shows) show(draft);
  }

  #add(draft: Draft, document: EntityDocument, properties: Properties): void {
    if (this.#presentation === undefined) throw new Error('the inventory is not shown yet');
    const { classes, environmentBrowser, common } = this.#presentation;
    const entityClass = classes[document.type] as unknown as ManagedObjectClass<'ManagedEntity'>;
    const shared = { ...entityDefaults(document.name, undefined), ...common(referenceOf(document)) };
    draft.add(entityClass, document.value, { ...shared, ...stored(document, this), ...properties } as never);
    if (isCompute(document)) draft.add(environmentBrowser, document.environmentBrowser, {});
  }

  #remove(draft: Draft, document: EntityDocument): void {
    this.#documents.delete(document.value);
    this.#touch(draft, [
      ...this.#below.set(document.value, []),
      ...this.#onHost.set(document.value, []),
      ...this.#inPool.set(document.value, []),
      ...this.uses.set(document.value, []),
      ...this.#vApps.set(document.value, []),
    ]);
    this.#ofInstance.set(document.value, []);
    if (isShown(document)) draft.remove(referenceOf(document));
    if (isCompute(document)) draft.remove({ type: 'EnvironmentBrowser', value: document.environmentBrowser });
  }

  /** Remembers a document; answers the entities whose lists changed. */
  #index(document: EntityDocument): string[] {
    const { value, parent } = document;
    this.#documents.set(value, document);
    const changed = this.#below.set(value, parent === undefined ? [] : [parent]);
    if (document.type === 'VirtualMachine') {
      this.#ofInstance.set(value, [document.instanceUuid]);
      changed.push(...this.#onHost.set(value, [document.host]));
      changed.push(...this.#inPool.set(value, document.pool === undefined ? [] : [document.pool]));
    }
    const folder = isPool(document) ? document.vApp?.folder : undefined;
    changed.push(...this.#vApps.set(value, folder === undefined ? [] : [folder]));
    return changed;
  }

  /** Says that lists of these entities changed. */
  #touch(draft: Draft, values: readonly string[]): void {
    for (const value of values) this.touchLists(draft, value);
  }

  /** Says that the lists of an entity may have changed, and those of what is above it that are made of them. */
  touchLists(draft: Draft, value: string): void {
    const document = this.#documents.get(value);
    if (document === undefined || !draft.has(referenceOf(document))) return;
    const ref = referenceOf(document);
    for (const property of lists[document.type]) draft.touch(ref, property);
    if (isPool(document)) {
      if (document.parent !== undefined) this.#touchPools(draft, document.parent);
    } else if (isCompute(document)) this.#touchPools(draft, document.pool);
    if (document.type === 'Folder') {
      const datacenter = this.above(value, ['Datacenter']);
      if (datacenter === undefined) return;
      if (document.childType.includes('Datastore')) draft.touch(referenceOf(datacenter), 'datastore');
      if (document.childType.includes('Network')) draft.touch(referenceOf(datacenter), 'network');
    }
  }

  /** A pool and those above it are made of what is below. */
  #touchPools(draft: Draft, value: string): void {
    const document = this.#documents.get(value);
    if (document !== undefined && isPool(document)) this.touchLists(draft, value);
  }

  #resolved(values: Iterable<string>): EntityDocument[] {
    const found: EntityDocument[] = [];
    for (const value of values) {
      const document = this.#documents.get(value);
      if (document !== undefined) found.push(document);
    }
    return found;
  }
}

/** Where a machine is listed that its host has just made: it was in its place before, and nobody saw it. */
function newlyShown(before: EntityDocument | undefined, after: EntityDocument): string[] {
  if (before === undefined || isShown(before) || after.type !== 'VirtualMachine') return [];
  return [after.parent, after.pool, after.host].filter((value) => value !== undefined);
}

/** What a pool shows of its document, and of all that is below it. */
const poolProperties = ['config', 'childConfiguration', 'runtime', 'summary'] as const;

/** Derived properties that list others. */
const lists: { readonly [T in EntityType]: readonly string[] } = {
  Folder: ['childEntity'],
  Datacenter: [],
  ComputeResource: ['host', 'datastore', 'network', 'summary'],
  ClusterComputeResource: ['host', 'datastore', 'network', 'summary'],
  ResourcePool: ['vm', 'resourcePool', ...poolProperties],
  VirtualApp: ['vm', 'resourcePool', ...poolProperties, 'vAppConfig', 'datastore', 'network'],
  HostSystem: ['vm'],
  VirtualMachine: [],
  Datastore: ['vm'],
  Network: ['vm'],
};

/** Properties that a document says. */
function stored(document: EntityDocument, inventory: Inventory): Properties {
  const { name, parent } = document;
  const above = parent === undefined ? undefined : inventory.find(parent);
  const place = { name, parent: above === undefined ? undefined : referenceOf(above) };
  const to = (type: string, value: string) => ({ _typeName: 'ManagedObjectReference', type, value });
  switch (document.type) {
    case 'Folder':
      return { ...place, childType: document.childType };
    case 'Datacenter':
      return {
        ...place,
        vmFolder: to('Folder', document.vmFolder),
        hostFolder: to('Folder', document.hostFolder),
        datastoreFolder: to('Folder', document.datastoreFolder),
        networkFolder: to('Folder', document.networkFolder),
        configuration: document.configuration,
      };
    case 'ComputeResource':
    case 'ClusterComputeResource':
      return {
        ...place,
        resourcePool: to('ResourcePool', document.pool),
        environmentBrowser: to('EnvironmentBrowser', document.environmentBrowser),
        configurationEx: document.configuration,
      };
    case 'ResourcePool':
    case 'VirtualApp': {
      const owner = inventory.find(document.owner);
      return {
        ...place,
        owner: owner === undefined ? to('ComputeResource', document.owner) : referenceOf(owner),
        ...(document.vApp === undefined
          ? {}
          : {
              parentFolder: document.vApp.folder === undefined ? undefined : to('Folder', document.vApp.folder),
              parentVApp: above?.type === 'VirtualApp' ? referenceOf(above) : undefined,
            }),
      };
    }
    case 'VirtualMachine': {
      const pool = document.pool === undefined ? undefined : inventory.find(document.pool);
      return {
        ...place,
        resourcePool: pool === undefined ? undefined : referenceOf(pool),
        parentVApp: pool?.type === 'VirtualApp' ? referenceOf(pool) : undefined,
      };
    }
    default:
      return place;
  }
}

class Change implements InventoryEdit {
  readonly writes: StoreWrite[] = [];
  readonly documents = new Map<string, { document: EntityDocument; properties: Properties } | undefined>();
  readonly shows: ((draft: Draft) => void)[] = [];
  readonly removed: ManagedObjectReference[] = [];
  readonly #inventory: Inventory;
  readonly #numbers: ReferenceNumbers;

  constructor(inventory: Inventory, numbers: ReferenceNumbers) {
    this.#inventory = inventory;
    this.#numbers = numbers;
  }

  find(value: string): EntityDocument | undefined {
    return this.documents.has(value) ? this.documents.get(value)?.document : this.#inventory.find(value);
  }

  children(parent: string): EntityDocument[] {
    return this.#members(this.#inventory.children(parent), (document) => document.parent === parent);
  }

  vAppsIn(folder: string): DocumentOf<'VirtualApp'>[] {
    const isThere = (document: EntityDocument) => isPool(document) && document.vApp?.folder === folder;
    return this.#members(this.#inventory.vAppsIn(folder), isThere) as DocumentOf<'VirtualApp'>[];
  }

  machinesInPool(pool: string): DocumentOf<'VirtualMachine'>[] {
    const isThere = (document: EntityDocument) => document.type === 'VirtualMachine' && document.pool === pool;
    return this.#members(this.#inventory.machinesInPool(pool), isThere) as DocumentOf<'VirtualMachine'>[];
  }

  /** Those that this change leaves alone, then those that it makes so. */
  #members(before: readonly EntityDocument[], belongs: (document: EntityDocument) => boolean): EntityDocument[] {
    const changed = [...this.documents.values()].flatMap((entry) => entry?.document ?? []);
    return [...before.filter(({ value }) => !this.documents.has(value)), ...changed.filter(belongs)];
  }

  mint(prefix: string): string {
    return this.#numbers.mint(prefix);
  }

  put(document: EntityDocument, properties: Properties = {}): void {
    const before = this.documents.get(document.value)?.properties;
    this.documents.set(document.value, { document, properties: { ...before, ...properties } });
    this.writes.push({ put: { collection, key: document.value, value: toDocument(document) } });
  }

  remove(value: string): void {
    this.documents.set(value, undefined);
    this.writes.push({ delete: { collection, key: value } });
  }

  write(...writes: readonly StoreWrite[]): void {
    this.writes.push(...writes);
  }

  show(run: (draft: Draft) => void): void {
    this.shows.push(run);
  }
}

/** Entities whose lists name a document. */
function listedBy(document: EntityDocument): string[] {
  const places = [document.parent];
  if (document.type === 'VirtualMachine') places.push(document.host, document.pool);
  if (isPool(document)) places.push(document.vApp?.folder);
  return places.flatMap((place) => place ?? []);
}
