import type { Store, StoreWrite } from '@hypostyle/contracts';
import { fault, type ManagedObjectReference, Turns } from '@hypostyle/vim';
import { references } from '../inventory/references.ts';
import { type PoolRecord, poolReference } from './pool-record.ts';

const collection = 'pool';
const machineCollection = 'machine-pool';
const counterCollection = 'counter';
const counterKey = 'pool-id';
const deepest = 8;

/** The resource pools of a host below its root pool: a tree that the store remembers. */
export class Pools {
  readonly #store: Store;
  readonly #records = new Map<string, PoolRecord>();
  /** Pool by machine, where it is not the root pool. */
  readonly #assigned = new Map<string, string>();
  #last = 0;
  /** Changes go one after another. */
  readonly #turns = new Turns();

  private constructor(store: Store) {
    this.#store = store;
  }

  static async open(store: Store): Promise<Pools> {
    const pools = new Pools(store);
    for (const { value } of await store.list<PoolRecord>(collection)) pools.#records.set(value.id, value);
    for (const { key, value } of await store.list<string>(machineCollection)) pools.#assigned.set(key, value);
    pools.#last = (await store.get<number>(counterCollection, counterKey)) ?? 0;
    return pools;
  }

  all(): PoolRecord[] {
    return [...this.#records.values()];
  }

  find(id: string): PoolRecord | undefined {
    return this.#records.get(id);
  }

  /** The pool of that reference, or undefined for the root pool. ManagedObjectNotFound. */
  get(ref: ManagedObjectReference): PoolRecord | undefined {
    const pool = this.#records.get(ref.value);
    if (pool === undefined && ref.value !== references.rootPool.value)
      throw fault('ManagedObjectNotFound', { obj: ref }, `There is no resource pool ${ref.value} here.`);
    return pool;
  }

  /** The pool that a machine is in: the root pool where its own is gone. */
  referenceOf(id: string) {
    return this.#records.has(id) ? poolReference(id) : references.rootPool;
  }

  /** The pool that the store says a machine is in. */
  poolOf(machineId: string) {
    return this.referenceOf(this.#assigned.get(machineId) ?? references.rootPool.value);
  }

  /** Puts machines into a pool; `showAssigned` makes it true. */
  assign(machineIds: readonly string[], pool: string): StoreWrite[] {
    return machineIds.map((key) =>
      this.#records.has(pool)
        ? { put: { collection: machineCollection, key, value: pool } }
        : { delete: { collection: machineCollection, key } },
    );
  }

  showAssigned(machineId: string, pool: string): void {
    if (this.#records.has(pool)) this.#assigned.set(machineId, pool);
    else this.#assigned.delete(machineId);
  }

  children(parent: string): PoolRecord[] {
    return this.all().filter((pool) => pool.parent === parent);
  }

  /** The pool and all below it, nearest first. */
  withBelow(id: string): string[] {
    const found = [id];
    for (const at of found) found.push(...this.children(at).map((child) => child.id));
    return found;
  }

  /** The pool and all that it is in, up to the root pool. */
  withAbove(id: string): string[] {
    const found = [id];
    for (let at = this.#records.get(id); at !== undefined; at = this.#records.get(at.parent)) found.push(at.parent);
    return found;
  }

  /** Throws InvalidName, or DuplicateName where another pool of that parent has the name. */
  checkName(name: string, parent: string, except?: string): void {
    if (name.trim() === '' || name.length > 80 || /[\u0000-\u001f]/.test(name))
      throw fault(
        'InvalidName',
        { name: name.slice(0, 200) },
        `'${name.slice(0, 80)}' is no name for a resource pool.`,
      );
    const other = this.children(parent).find((pool) => pool.name === name && pool.id !== except);
    if (other !== undefined)
      throw fault('DuplicateName', { name, object: poolReference(other.id) }, `The name '${name}' already exists.`);
  }

  /** Throws InvalidArgument where pools would lie too deep, or within themselves. */
  checkPlace(parent: string, moved: string | undefined): void {
    let depth = moved === undefined ? 1 : this.#height(moved);
    for (let at: string | undefined = parent; at !== undefined; at = this.#records.get(at)?.parent) {
      if (at === moved) throw invalid('list', 'A resource pool cannot be moved into itself.');
      depth += 1;
    }
    if (depth > deepest + 1) throw invalid('pool', `Resource pools are at most ${deepest} deep.`);
  }

  /** Runs a change that has the pools to itself. */
  inTurn<R>(change: () => Promise<R>): Promise<R> {
    return this.#turns.take(change);
  }

  /** An id that no pool ever had, with the write that says so. */
  nextId(): { readonly id: string; readonly write: StoreWrite } {
    this.#last += 1;
    return {
      id: `pool${this.#last}`,
      write: { put: { collection: counterCollection, key: counterKey, value: this.#last } },
    };
  }

  /** Durable when it resolves; `show` makes it true. */
  async keep(
    changed: readonly PoolRecord[],
    removed: readonly string[],
    more: readonly StoreWrite[] = [],
  ): Promise<void> {
    await this.#store.transact([
      ...more,
      ...changed.map((value): StoreWrite => ({ put: { collection, key: value.id, value } })),
      ...removed.map((key): StoreWrite => ({ delete: { collection, key } })),
    ]);
  }

  show(changed: readonly PoolRecord[], removed: readonly string[]): void {
    for (const pool of changed) this.#records.set(pool.id, pool);
    for (const id of removed) this.#records.delete(id);
  }

  #height(id: string): number {
    return 1 + Math.max(0, ...this.children(id).map((child) => this.#height(child.id)));
  }
}

export function invalid(invalidProperty: string, message: string) {
  return fault('InvalidArgument', { invalidProperty }, message);
}
