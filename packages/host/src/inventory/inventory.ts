import type { Store, StoreWrite } from '@hypostyle/contracts';
import type { Draft, ManagedObjectClass } from '@hypostyle/vim';
import type { Datastores } from '../datastore/datastores.ts';
import { poolReference } from '../pools/pool-record.ts';
import type { Pools } from '../pools/pools.ts';
import type { Networks } from './networks.ts';
import { references } from './references.ts';

const collection = 'counter';
const counterKey = 'machine-id';

/** The lists that machines appear in, and the numbers that they are given. */
export class Inventory {
  readonly #datastores: Datastores;
  readonly #networks: Networks;
  readonly #pools: Pools;
  #machineClass: ManagedObjectClass<'VirtualMachine'> | undefined;
  #snapshotClass: ManagedObjectClass<'VirtualMachineSnapshot'> | undefined;
  readonly #lastKept: Promise<number>;
  /** Of the numbers that were given by this process. */
  #last = 0;

  constructor(store: Pick<Store, 'get'>, datastores: Datastores, networks: Networks, pools: Pools) {
    this.#pools = pools;
    this.#datastores = datastores;
    this.#networks = networks;
    this.#lastKept = readCounter(store);
  }

  get machineClass(): ManagedObjectClass<'VirtualMachine'> {
    if (this.#machineClass === undefined) throw new Error('the host is not open yet');
    return this.#machineClass;
  }

  set machineClass(machineClass: ManagedObjectClass<'VirtualMachine'>) {
    this.#machineClass = machineClass;
  }

  get snapshotClass(): ManagedObjectClass<'VirtualMachineSnapshot'> {
    if (this.#snapshotClass === undefined) throw new Error('the host is not open yet');
    return this.#snapshotClass;
  }

  set snapshotClass(snapshotClass: ManagedObjectClass<'VirtualMachineSnapshot'>) {
    this.#snapshotClass = snapshotClass;
  }

  /** Numbers that no machine ever had. Whoever writes down a machine that has one writes `given` with it. */
  async nextMachineIds(count: number): Promise<number[]> {
    const first = Math.max(await this.#lastKept, this.#last) + 1;
    this.#last = first + count - 1;
    return Array.from({ length: count }, (_, index) => first + index);
  }

  /** How many numbers were given until now. */
  given(): StoreWrite {
    return putCounter(this.#last);
  }

  /** Says that machines came or went: the lists are made anew for whoever reads them. */
  refresh(draft: Draft): void {
    draft.touch(references.vmFolder, 'childEntity');
    draft.touch(references.host, 'vm');
    // Who starts with the host is one of these.
    draft.touch(references.autoStartManager, 'config');
    draft.touch(references.host, 'config');
    this.poolsChanged(draft);
    for (const datastore of this.#datastores.all()) if (draft.has(datastore.ref)) draft.touch(datastore.ref, 'vm');
    this.networksChanged(draft);
  }

  /** Says that pools, or what is in them, changed. */
  poolsChanged(draft: Draft): void {
    for (const id of this.#pools.withBelow(references.rootPool.value)) {
      const ref = poolReference(id);
      if (!draft.has(ref)) continue;
      for (const property of ['vm', 'resourcePool', 'config', 'childConfiguration', 'runtime'])
        draft.touch(ref, property);
    }
  }

  /** Says that pools use more or less than before. */
  usageChanged(draft: Draft): void {
    for (const id of this.#pools.withBelow(references.rootPool.value)) {
      const ref = poolReference(id);
      if (draft.has(ref)) draft.touch(ref, 'runtime');
    }
  }

  networksChanged(draft: Draft): void {
    for (const network of this.#networks.all()) draft.touch(network.ref, 'vm');
  }

  datastoresChanged(draft: Draft): void {
    draft.touch(references.datastoreFolder, 'childEntity');
    draft.touch(references.datacenter, 'datastore');
    draft.touch(references.host, 'datastore');
    draft.touch(references.computeResource, 'datastore');
    // The first are shown before these are.
    for (const ref of [references.datastoreSystem, references.hostBrowser])
      if (draft.has(ref)) draft.touch(ref, 'datastore');
  }
}

/** The number that a machine was given last. */
export async function readCounter(store: Pick<Store, 'get'>): Promise<number> {
  return (await store.get<number>(collection, counterKey)) ?? 0;
}

export function putCounter(value: number): StoreWrite {
  return { put: { collection, key: counterKey, value } };
}
