import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type Caller,
  createLocalCaller,
  type ManagedObjectReference,
  type ObjectContent,
  type PropertyFilterSpec,
  type UpdateSet,
  unboxed,
} from '@hypostyle/vim';
import type { TestCenter } from '../center-fixture.ts';

/** Milliseconds that a wake-up may take on a machine with other work. */
const patience = 10_000;

type State = Map<string, Map<string, unknown>>;

const step = (name: string, type: string, path: string, selectSet: readonly string[] = []) => ({
  _typeName: 'TraversalSpec',
  name,
  type,
  path,
  skip: false,
  selectSet: selectSet.map((other) => ({ _typeName: 'SelectionSpec', name: other })),
});

/** Everything in the inventory, and every property of it. */
function wholeInventory(center: TestCenter): PropertyFilterSpec {
  const folders = ['vmFolder', 'hostFolder', 'datastoreFolder', 'networkFolder'];
  return {
    propSet: [
      { type: 'ManagedEntity', all: true },
      { type: 'HostDatastoreBrowser', all: true },
      { type: 'TaskManager', pathSet: ['recentTask'] },
      { type: 'Task', pathSet: ['info.state', 'info.entityName'] },
    ],
    objectSet: [
      {
        obj: center.center.rootFolder,
        skip: false,
        selectSet: [
          step('children', 'Folder', 'childEntity', ['children', ...folders, 'hosts', 'pool']),
          ...folders.map((folder) => step(folder, 'Datacenter', folder, ['children'])),
          step('hosts', 'ComputeResource', 'host', ['browser']),
          step('browser', 'HostSystem', 'datastoreBrowser'),
          step('pool', 'ComputeResource', 'resourcePool', ['pools']),
          step('pools', 'ResourcePool', 'resourcePool', ['pools']),
        ],
      },
      { obj: center.center.core.tasks.ref, skip: false, selectSet: [step('tasks', 'TaskManager', 'recentTask')] },
    ],
  } as unknown as PropertyFilterSpec;
}

function viewed(view: ManagedObjectReference): PropertyFilterSpec {
  return {
    propSet: [
      { type: 'VirtualMachine', pathSet: ['name', 'runtime.powerState', 'parent', 'resourcePool', 'summary.config'] },
      { type: 'HostSystem', pathSet: ['name', 'vm', 'runtime.connectionState'] },
    ],
    objectSet: [{ obj: view, skip: true, selectSet: [step('view', 'ContainerView', 'view')] }],
  } as unknown as PropertyFilterSpec;
}

/** A client of the center that knows nothing but the updates it was sent. */
export class FollowingClient {
  readonly #caller: Caller;
  readonly #collector: ManagedObjectReference<'PropertyCollector'>;
  readonly #specs: ReadonlyMap<string, PropertyFilterSpec>;
  readonly #states = new Map<string, State>();
  #version = '';
  readonly #ended = new AbortController();
  /** Resolves at the next update set that a waiting client was woken with. */
  #woken = Promise.withResolvers<void>();
  #failed: unknown;
  /** What it knew before the last update set, and which version that was. */
  #before: { readonly version: string; readonly states: [string, State][] } | undefined;

  private constructor(
    caller: Caller,
    collector: ManagedObjectReference<'PropertyCollector'>,
    specs: ReadonlyMap<string, PropertyFilterSpec>,
    waits: boolean,
  ) {
    this.waits = waits;
    this.#caller = caller;
    this.#collector = collector;
    this.#specs = specs;
  }

  /** True for one that is never asked to look: it waits at the center, and is woken. */
  readonly waits: boolean;

  static async open(center: TestCenter, waits = false): Promise<FollowingClient> {
    const { dispatcher, registry, sessions } = center.center;
    const { session } = sessions.openInternal({ userName: 'VSPHERE.LOCAL\\administrator' });
    const caller = createLocalCaller({ dispatcher, registry, session });
    const { propertyCollector, viewManager } = await caller.content();
    assert.ok(viewManager);
    const view = await caller.call(viewManager, 'CreateContainerView', {
      container: center.center.rootFolder,
      type: ['VirtualMachine', 'HostSystem'],
      recursive: true,
    });
    const collector = await caller.call(propertyCollector, 'CreatePropertyCollector', {});
    const specs = new Map<string, PropertyFilterSpec>();
    for (const spec of [wholeInventory(center), viewed(view)]) {
      const filter = await caller.call(collector, 'CreateFilter', { spec, partialUpdates: false });
      specs.set(filter.value, spec);
    }
    const client = new FollowingClient(caller, collector, specs, waits);
    if (waits) client.#wait().catch((error: unknown) => client.#fail(error));
    return client;
  }

  /** Its center is gone, or about to be. */
  end(): void {
    this.#ended.abort();
  }

  /** Takes up to one update set; with `lost`, as if the answer had not come: it is asked for again. */
  async pull(lost = false): Promise<boolean> {
    if (lost && this.#before !== undefined) {
      this.#version = this.#before.version;
      this.#states.clear();
      for (const [filter, state] of this.#before.states) this.#states.set(filter, state);
      this.#before = undefined;
    }
    const updates = await this.#updates(0);
    if (updates === undefined) return false;
    this.#before = {
      version: this.#version,
      states: [...this.#states].map(([filter, state]) => [filter, copied(state)]),
    };
    this.#version = updates.version;
    this.#apply(updates);
    return true;
  }

  async #wait(): Promise<void> {
    while (!this.#ended.signal.aborted) {
      // Short, since the wait at a center that was killed is over only then.
      const updates = await this.#updates(2);
      if (updates === undefined) continue;
      this.#version = updates.version;
      this.#apply(updates);
      this.#woken.resolve();
      this.#woken = Promise.withResolvers();
    }
  }

  #fail(error: unknown): void {
    if (this.#ended.signal.aborted) return;
    this.#failed = error;
    this.#woken.resolve();
  }

  #updates(maxWaitSeconds: number): Promise<UpdateSet | undefined> {
    const options = { maxWaitSeconds, maxObjectUpdates: 20 };
    const args = { version: this.#version, options };
    return this.#caller.call(this.#collector, 'WaitForUpdatesEx', args, { signal: this.#ended.signal });
  }

  /** Takes all that there is, and looks whether it is what one reads. */
  async check(): Promise<void> {
    if (!this.waits) {
      while (await this.pull());
      await this.#compare();
      return;
    }
    for (;;) {
      if (this.#failed !== undefined) throw this.#failed;
      const woken = this.#woken.promise;
      try {
        await this.#compare();
        return;
      } catch (error) {
        // What it does not know yet it is woken for.
        const given = new AbortController();
        const late = sleep(patience, error, { signal: given.signal }).then((unknown) => {
          throw unknown;
        });
        await Promise.race([woken, late]).finally(() => given.abort());
      }
    }
  }

  async #compare(): Promise<void> {
    const { propertyCollector } = await this.#caller.content();
    for (const [filter, spec] of this.#specs) {
      const fresh: State = new Map();
      let page = await this.#caller.call(propertyCollector, 'RetrievePropertiesEx', { specSet: [spec], options: {} });
      for (;;) {
        for (const content of page?.objects ?? []) fresh.set(content.obj.value, valuesOf(content));
        if (page?.token === undefined) break;
        page = await this.#caller.call(propertyCollector, 'ContinueRetrievePropertiesEx', { token: page.token });
      }
      const known = this.#states.get(filter) ?? new Map();
      assert.deepEqual([...known.keys()].sort(), [...fresh.keys()].sort(), 'a client knows the objects that there are');
      for (const [value, values] of fresh)
        for (const name of new Set([...values.keys(), ...(known.get(value)?.keys() ?? [])]))
          assert.deepEqual(known.get(value)?.get(name), values.get(name), `a client knows ${name} of ${value}`);
    }
  }

  #apply({ filterSet = [] }: UpdateSet): void {
    for (const { filter, objectSet = [] } of filterSet) {
      const state: State = this.#states.get(filter.value) ?? new Map();
      this.#states.set(filter.value, state);
      for (const { kind, obj, changeSet = [] } of objectSet) {
        if (kind === 'leave') {
          assert.ok(state.delete(obj.value), `${obj.value} leaves and was there`);
          continue;
        }
        if (kind === 'enter') {
          assert.ok(!state.has(obj.value), `${obj.value} enters and was not there`);
          state.set(obj.value, new Map());
        }
        const values = state.get(obj.value);
        assert.ok(values !== undefined, `${obj.value} changes and is there`);
        for (const { name, val } of changeSet) {
          if (val === undefined) values.delete(name);
          else values.set(name, unboxed(val));
        }
      }
    }
  }
}

function copied(state: State): State {
  return new Map([...state].map(([value, values]) => [value, new Map(values)]));
}

function valuesOf({ propSet = [] }: ObjectContent): Map<string, unknown> {
  return new Map(propSet.map(({ name, val }) => [name, unboxed(val)]));
}
