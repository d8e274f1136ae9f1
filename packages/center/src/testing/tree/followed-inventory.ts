import type { ManagedObjectReference, UpdateSet } from '@hypostyle/vim';
import type { TestCenter } from '../center-fixture.ts';

const paths = ['name', 'parent', 'childEntity', 'resourcePool', 'vm', 'host', 'parentFolder', 'parentVApp'];

type Shown = Map<string, Map<string, unknown>>;

/** What a client knows that follows the whole inventory by a view. */
export class FollowedInventory {
  readonly #center: TestCenter;
  readonly #collector: ManagedObjectReference;
  readonly #shown: Shown = new Map();
  #version = '';

  private constructor(center: TestCenter, collector: ManagedObjectReference) {
    this.#center = center;
    this.#collector = collector;
  }

  static async begin(center: TestCenter): Promise<FollowedInventory> {
    const ref = (type: string, value: string) => ({ _typeName: 'ManagedObjectReference', type, value });
    const container = center.center.rootFolder;
    const view = await center.call(ref('ViewManager', 'ViewManager'), 'CreateContainerView', {
      container,
      recursive: true,
    });
    const collector = await center.call(ref('PropertyCollector', 'propertyCollector'), 'CreatePropertyCollector');
    const known = (type: string) => paths.filter((path) => center.center.registry.schema.managed(type)?.property(path));
    const types = ['Folder', 'Datacenter', 'ComputeResource', 'ResourcePool', 'VirtualApp', 'VirtualMachine'];
    const spec = {
      propSet: types.map((type) => ({ type, all: false, pathSet: known(type) })),
      objectSet: [
        {
          obj: view,
          skip: true,
          selectSet: [{ _typeName: 'TraversalSpec', type: 'ContainerView', path: 'view', skip: false }],
        },
      ],
    };
    await center.call(collector as ManagedObjectReference, 'CreateFilter', { spec, partialUpdates: false });
    return new FollowedInventory(center, collector as ManagedObjectReference);
  }

  /** Takes over all that is told by now. */
  async now(): Promise<Shown> {
    for (;;) {
      const set = (await this.#center.call(this.#collector, 'WaitForUpdatesEx', {
        version: this.#version,
        options: { _typeName: 'WaitOptions', maxWaitSeconds: 0 },
      })) as UpdateSet | undefined;
      if (set === undefined) return this.#shown;
      this.#version = set.version;
      for (const { objectSet = [] } of set.filterSet ?? []) for (const update of objectSet) this.#take(update);
    }
  }

  #take({ kind, obj, changeSet = [] }: NonNullable<NonNullable<UpdateSet['filterSet']>[number]['objectSet']>[number]) {
    if (kind === 'leave') {
      this.#shown.delete(obj.value);
      return;
    }
    const values = kind === 'enter' ? new Map<string, unknown>() : (this.#shown.get(obj.value) ?? new Map());
    for (const { name, val, op } of changeSet) {
      if (op === 'assign' && val !== undefined) values.set(name, val);
      else values.delete(name);
    }
    this.#shown.set(obj.value, values);
  }
}
