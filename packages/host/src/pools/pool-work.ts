import {
  actingUser,
  type Call,
  type Draft,
  fault,
  type ManagedObjectReference,
  type ResourceConfigSpec,
} from '@hypostyle/vim';
import type { HostCore } from '../host-core.ts';
import { references } from '../inventory/references.ts';
import type { MachineRecord } from '../machine/record/machine-record.ts';
import { applyAllocation, checkVersion, defaultAllocation, insufficient } from './pool-config.ts';
import { type PoolRecord, type PoolReference, poolReference } from './pool-record.ts';
import { invalid } from './pools.ts';

const rootPool = references.rootPool.value;

/** What a change makes of pools and of the pools of machines. */
interface PoolChange {
  readonly changed?: readonly PoolRecord[];
  readonly removed?: readonly string[];
  /** Machines that go into another pool. */
  readonly machines?: readonly MachineRecord[];
  readonly into?: string;
}

/** Changes of resource pools, each one whole and durable before it is seen. */
export class PoolWork {
  readonly #core: HostCore;
  /** Adds the object of a new pool. */
  readonly #add: (draft: Draft, pool: PoolRecord) => void;

  constructor(core: HostCore, add: (draft: Draft, pool: PoolRecord) => void) {
    this.#core = core;
    this.#add = add;
  }

  /** InvalidName, DuplicateName, InsufficientResourcesFault, InvalidArgument. */
  create(call: Call, name: string, spec: ResourceConfigSpec): Promise<PoolReference> {
    const { pools } = this.#core;
    return pools.inTurn(async () => {
      const parent = call.self.ref.value;
      pools.get(call.self.ref);
      pools.checkName(name, parent);
      pools.checkPlace(parent, undefined);
      const cpu = applyAllocation(defaultAllocation('cpu'), spec.cpuAllocation, 'cpu');
      const memory = applyAllocation(defaultAllocation('memory'), spec.memoryAllocation, 'memory');
      const { id, write } = pools.nextId();
      const pool: PoolRecord = { id, name, parent, cpu, memory, modified: new Date().toISOString() };
      this.#admit(pool, parent);
      await pools.keep([pool], [], [write]);
      this.#show({ changed: [pool] }, (draft) => {
        this.#add(draft, pool);
        this.#post(draft, call, 'ResourcePoolCreatedEvent', pool, { parent: this.#argument(parent) });
      });
      return poolReference(id);
    });
  }

  /** Gives a pool another name, another configuration, or both. */
  update(
    caller: Call | string,
    ref: ManagedObjectReference,
    { name, config }: { readonly name?: string | undefined; readonly config?: ResourceConfigSpec | undefined },
  ): Promise<void> {
    const { pools } = this.#core;
    return pools.inTurn(async () => {
      const before = pools.get(ref);
      if (before === undefined) throw rootStays();
      if (name !== undefined) pools.checkName(name, before.parent, before.id);
      const pool = configured({ ...before, name: name ?? before.name }, config);
      this.#admit(pool, pool.parent);
      await pools.keep([pool], []);
      this.#show({ changed: [pool] }, (draft) => {
        draft.set(poolReference(pool.id), { name: pool.name });
        this.#post(draft, caller, 'ResourcePoolReconfiguredEvent', pool, {});
      });
    });
  }

  /** Configures pools that lie right below this one, all or none. InvalidArgument for others. */
  updateChildren(call: Call, specs: readonly ResourceConfigSpec[]): Promise<void> {
    const { pools } = this.#core;
    return pools.inTurn(async () => {
      const changed = specs.map((spec) => {
        const pool = pools.find(spec.entity?.value ?? '');
        if (pool?.parent !== call.self.ref.value)
          throw invalid('spec.entity', `${spec.entity?.value ?? 'It'} is no child of this pool.`);
        return configured(pool, spec);
      });
      for (const pool of changed) this.#admit(pool, pool.parent);
      await pools.keep(changed, []);
      this.#show({ changed }, (draft) => {
        for (const pool of changed) this.#post(draft, call, 'ResourcePoolReconfiguredEvent', pool, {});
      });
    });
  }

  /** Moves pools and machines into this pool, all or none. DuplicateName, InvalidArgument, InsufficientResourcesFault. */
  move(call: Call, list: readonly ManagedObjectReference[]): Promise<void> {
    const { pools, machines: all } = this.#core;
    return pools.inTurn(async () => {
      const into = call.self.ref.value;
      pools.get(call.self.ref);
      const machines = list.filter(({ type }) => type === 'VirtualMachine').map((ref) => all.get(ref));
      const moved = list
        .filter(({ type }) => type === 'ResourcePool')
        .map((ref) => {
          const before = pools.get(ref);
          if (before === undefined) throw rootStays();
          return before;
        });
      if (machines.length + moved.length < list.length)
        throw invalid('list', 'Virtual machines and resource pools are moved into a pool.');
      const names = new Set<string>();
      for (const pool of moved) {
        pools.checkPlace(into, pool.id);
        pools.checkName(pool.name, into, pool.id);
        if (names.has(pool.name))
          throw fault('DuplicateName', { name: pool.name, object: poolReference(pool.id) }, 'Two have one name.');
        names.add(pool.name);
        this.#admit(pool, into);
      }
      const changed = moved.map((pool) => ({ ...pool, parent: into }));
      await pools.keep(
        changed,
        [],
        pools.assign(
          machines.map(({ id }) => id),
          into,
        ),
      );
      this.#show({ changed, machines, into }, (draft) => {
        for (const pool of moved) {
          draft.set(poolReference(pool.id), { parent: poolReference(into) as never });
          const members = { oldParent: this.#argument(pool.parent), newParent: this.#argument(into) };
          this.#post(draft, call, 'ResourcePoolMovedEvent', { ...pool, parent: into }, members);
        }
        this.#tellMoved(draft, actingUser(call), machines, into);
      });
    });
  }

  /** Takes pools away with all below them; their machines go into the pool above. */
  destroy(caller: Call | string, ids: readonly string[], parent: string): Promise<void> {
    const { pools, machines: all } = this.#core;
    return pools.inTurn(async () => {
      const removed = ids.flatMap((id) => pools.withBelow(id)).filter((id) => pools.find(id) !== undefined);
      const gone = removed.flatMap((id) => pools.find(id) ?? []);
      const machines = [...all.all()].filter(({ resourcePool }) => removed.includes(resourcePool.value));
      const assigned = pools.assign(
        machines.map(({ id }) => id),
        parent,
      );
      await pools.keep([], removed, assigned);
      this.#show({ removed, machines, into: parent }, (draft) => {
        this.#tellMoved(draft, userOf(caller), machines, parent);
        for (const pool of gone) this.#post(draft, caller, 'ResourcePoolDestroyedEvent', pool, {});
        for (const id of removed.toReversed()) draft.remove(poolReference(id));
      });
    });
  }

  /** InsufficientResourcesFault where the pool above has less unreserved than the pool reserves. */
  #admit(pool: PoolRecord, parent: string): void {
    for (const kind of ['cpu', 'memory'] as const) {
      const left = Math.max(0, this.#core.poolUsage.unreserved(parent, kind, pool.id));
      if (pool[kind].reservation > left) throw insufficient(kind, left, pool[kind].reservation);
    }
  }

  #show({ changed = [], removed = [], machines = [], into = rootPool }: PoolChange, say: (draft: Draft) => void): void {
    const { registry, pools, inventory, resources, machines: all } = this.#core;
    registry.commit((draft) => {
      // Events name the pools as they were until they are gone.
      say(draft);
      pools.show(changed, removed);
      for (const { id } of machines) {
        pools.showAssigned(id, into);
        all.change(id, { resourcePool: pools.referenceOf(into) }, draft);
      }
      inventory.poolsChanged(draft);
    });
    resources.refresh();
  }

  #tellMoved(draft: Draft, userName: string, machines: readonly MachineRecord[], into: string): void {
    for (const { ref, resourcePool } of machines) {
      if (resourcePool.value === into) continue;
      const members = { oldParent: this.#argument(resourcePool.value), newParent: this.#argument(into) };
      this.#core.events.post(draft, { type: 'VmResourcePoolMovedEvent', entity: ref, userName, members });
    }
  }

  #post(
    draft: Draft,
    caller: Call | string,
    type:
      | 'ResourcePoolCreatedEvent'
      | 'ResourcePoolReconfiguredEvent'
      | 'ResourcePoolMovedEvent'
      | 'ResourcePoolDestroyedEvent',
    pool: PoolRecord,
    members: object,
  ): void {
    const resourcePool = {
      _typeName: 'ResourcePoolEventArgument',
      name: pool.name,
      resourcePool: poolReference(pool.id),
    };
    const entity = poolReference(pool.id);
    this.#core.events.post(draft, { type, entity, userName: userOf(caller), members: { resourcePool, ...members } });
  }

  #argument(id: string) {
    const name = this.#core.pools.find(id)?.name ?? 'Resources';
    return { _typeName: 'ResourcePoolEventArgument', name, resourcePool: poolReference(id) };
  }
}

function configured(pool: PoolRecord, spec: ResourceConfigSpec | undefined): PoolRecord {
  if (spec === undefined) return pool;
  checkVersion(spec, pool.modified);
  return {
    ...pool,
    cpu: applyAllocation(pool.cpu, spec.cpuAllocation, 'cpu'),
    memory: applyAllocation(pool.memory, spec.memoryAllocation, 'memory'),
    modified: new Date().toISOString(),
  };
}

function userOf(caller: Call | string): string {
  return typeof caller === 'string' ? caller : actingUser(caller);
}

export function rootStays() {
  return fault('NotSupported', {}, 'The root resource pool is the whole host: it does not change.');
}
