import { requireForMoveIntoPool, requireForRename } from '@hypostyle/services';
import { type Call, data, fault, type ManagedObjectReference, type ResourceConfigSpec } from '@hypostyle/vim';
import type { CenterBase } from '../center-base.ts';
import { byCall, type PostEvent } from '../containers/acting.ts';
import { type PoolDocument, referenceOf } from '../inventory/entity-document.ts';
import { entityName } from '../inventory/entity-name.ts';
import type { InventoryEdit } from '../inventory/inventory.ts';
import { requireFreeName } from '../inventory/name-scope.ts';
import { privilegeScope } from '../inventory/privilege-scope.ts';
import { changedResources, plainResources, reservationOf } from './pool-allocation.ts';
import { poolArgument } from './pool-events.ts';
import { dissolvePool, isRoot, moveIntoPool, poolAt, poolsIn } from './pool-tree.ts';
import type { PoolUsage } from './pool-usage.ts';

/** ResourcePool, as far as it is the center's own: making, changing, moving. One change of the inventory each. */
export class PoolOperations {
  readonly #core: CenterBase;
  readonly #usage: PoolUsage;

  constructor(core: CenterBase, usage: PoolUsage) {
    this.#core = core;
    this.#usage = usage;
  }

  create(call: Call, name: string, spec: ResourceConfigSpec): Promise<ManagedObjectReference<'ResourcePool'>> {
    return this.#core.inventory.edit((edit) => {
      const parent = poolAt(edit, call.self.ref.value);
      const resources = this.resourcesFor(edit, parent, spec);
      const place = { type: 'ResourcePool', name: entityName(name), parent: parent.value } as const;
      requireFreeName(edit, { ...place, value: '', owner: parent.owner, resources });
      const pool: PoolDocument = { ...place, value: edit.mint('resgroup-'), owner: parent.owner, resources };
      edit.put(pool);
      this.created(edit, byCall(this.#core, call), { pool, parent });
      return referenceOf(pool) as ManagedObjectReference<'ResourcePool'>;
    });
  }

  /** What a new pool or vApp gets. Throws InvalidArgument, InsufficientResourcesFault. */
  resourcesFor(edit: InventoryEdit, parent: PoolDocument, spec: ResourceConfigSpec): ResourceConfigSpec {
    const { changeVersion: _, ...members } = spec;
    const resources = changedResources(plainResources(), members, new Date());
    this.#usage.checkReservation(edit, parent, { requested: reservations(resources) });
    return resources;
  }

  /** Tells of a new pool or vApp. */
  created(
    edit: InventoryEdit,
    post: PostEvent,
    { pool, parent }: { readonly pool: PoolDocument; readonly parent: PoolDocument },
  ): void {
    const members = { resourcePool: poolArgument(pool), parent: poolArgument(parent) };
    edit.show((draft) => post(draft, { type: 'ResourcePoolCreatedEvent', entity: referenceOf(pool), members }));
  }

  async update(
    call: Call,
    change: { readonly name?: string | undefined; readonly config?: ResourceConfigSpec | undefined },
  ) {
    const { inventory } = this.#core;
    const known = poolAt(inventory, call.self.ref.value);
    const name = change.name === undefined || change.name === '' ? known.name : entityName(change.name);
    if (name !== known.name) requireForRename(privilegeScope(this.#core), call, referenceOf(known));
    await inventory.edit((edit) => {
      const before = poolAt(edit, known.value);
      if (isRoot(before) && (name !== before.name || change.config !== undefined))
        throw fault('NotSupported', {}, 'The pool of a whole compute resource stays as it is.');
      const named = { ...before, name };
      if (name !== before.name) requireFreeName(edit, named);
      edit.put(named);
      if (change.config !== undefined) this.#reconfigure(edit, call, named, change.config);
    });
  }

  /** ResourcePool.UpdateChildResourceConfiguration, of its pools and vApps. */
  updateChildren(call: Call, specs: readonly ResourceConfigSpec[]): Promise<void> {
    return this.#core.inventory.edit((edit) => {
      for (const spec of specs) {
        const child = edit.find(spec.entity?.value ?? '');
        if (child === undefined || child.parent !== call.self.ref.value || !('resources' in child))
          throw fault('InvalidArgument', { invalidProperty: 'spec' }, 'A spec names what is no child of this pool.');
        this.#reconfigure(edit, call, child, spec);
      }
    });
  }

  /** ResourcePool.MoveIntoResourcePool: all or none. */
  moveInto(call: Call, list: readonly ManagedObjectReference[]): Promise<void> {
    requireForMoveIntoPool(privilegeScope(this.#core), call, { pool: call.self.ref, entities: list });
    return this.#core.inventory.edit((edit) => {
      const target = poolAt(edit, call.self.ref.value);
      for (const { value } of list) {
        const entity = edit.find(value);
        if (entity === undefined)
          throw fault('InvalidArgument', { invalidProperty: 'list' }, `There is no ${value} here.`);
        const from = entity.type === 'VirtualMachine' ? entity.pool : entity.parent;
        if (from !== target.value) {
          const requested =
            entity.type === 'VirtualMachine'
              ? this.#usage.reservedBy(entity)
              : 'resources' in entity
                ? reservations(entity.resources)
                : { cpu: 0, memory: 0 };
          this.#usage.checkReservation(edit, target, { requested, except: value });
        }
        moveIntoPool(edit, target, entity);
        if (from === undefined || from === target.value) continue;
        const moved = { oldParent: poolArgument(poolAt(edit, from)), newParent: poolArgument(target) };
        edit.show((draft) =>
          byCall(this.#core, call)(draft, {
            type: entity.type === 'VirtualMachine' ? 'VmResourcePoolMovedEvent' : 'ResourcePoolMovedEvent',
            entity: referenceOf(entity),
            members: entity.type === 'VirtualMachine' ? moved : { ...moved, resourcePool: poolArgument(entity) },
          }),
        );
      }
    });
  }

  /** ResourcePool.DestroyChildren: every pool below; machines and vApps come into this one. */
  destroyChildren(call: Call): Promise<void> {
    return this.#core.inventory.edit((edit) => {
      const lift = (value: string): void => {
        for (const child of poolsIn(edit, value)) {
          if (child.type === 'VirtualApp') continue;
          lift(child.value);
          dissolvePool(edit, child);
          edit.show((draft) =>
            byCall(this.#core, call)(draft, {
              type: 'ResourcePoolDestroyedEvent',
              entity: referenceOf(child),
              members: { resourcePool: poolArgument(child) },
            }),
          );
        }
      };
      lift(call.self.ref.value);
    });
  }

  #reconfigure(edit: InventoryEdit, call: Call, before: PoolDocument, spec: ResourceConfigSpec): void {
    const resources = changedResources(before.resources, spec, new Date());
    const after = { ...before, resources };
    const parent = poolAt(edit, before.parent ?? '');
    this.#usage.checkReservation(edit, parent, { requested: reservations(resources), except: before.value });
    edit.put(after);
    this.#usage.checkFits(edit, after);
    edit.show((draft) =>
      byCall(this.#core, call)(draft, {
        type: 'ResourcePoolReconfiguredEvent',
        entity: referenceOf(after),
        members: { resourcePool: poolArgument(after), configChanges: data('ChangesInfoEventArgument', {}) },
      }),
    );
  }
}

function reservations(config: ResourceConfigSpec) {
  return { cpu: reservationOf(config, 'cpu'), memory: reservationOf(config, 'memory') };
}
