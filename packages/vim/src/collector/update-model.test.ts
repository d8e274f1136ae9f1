import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { ObjectContent, ObjectSpec, PropertyChange, PropertyFilterSpec, UpdateSet } from '../generated/types.ts';
import type { ManagedObjectReference } from '../schema/values.ts';
import { parsePropertyPath } from './property-path.ts';
import { type Caller, smallDatacenter, TestSession, visitFolders } from './testing/small-datacenter.ts';

type Ref = ManagedObjectReference;
type State = Map<string, Map<string, unknown>>;
type Json = Record<string, unknown>;

/** A client that knows nothing but the updates it was sent. */
class Follower {
  readonly filters = new Map<string, State>();
  /** What each filter asked for. */
  readonly #specs: ReadonlyMap<string, PropertyFilterSpec>;

  constructor(specs: ReadonlyMap<string, PropertyFilterSpec>) {
    this.#specs = specs;
  }

  apply(set: UpdateSet): void {
    for (const { filter, objectSet = [] } of set.filterSet ?? []) {
      const paths = this.#specs.get(filter.value)!.propSet.flatMap(({ pathSet }) => pathSet ?? []);
      let state = this.filters.get(filter.value);
      if (state === undefined) {
        state = new Map();
        this.filters.set(filter.value, state);
      }
      for (const { kind, obj, changeSet = [] } of objectSet) {
        if (kind === 'leave') {
          assert.ok(state.delete(obj.value), 'what leaves was there');
          continue;
        }
        if (kind === 'enter') {
          assert.ok(!state.has(obj.value), 'what enters was not there');
          state.set(obj.value, new Map());
        }
        const values = state.get(obj.value);
        assert.ok(values !== undefined, 'what changes is there');
        for (const change of changeSet) this.#change(values, change, new Set(paths));
      }
    }
  }

  #change(values: Map<string, unknown>, { name, op, val }: PropertyChange, paths: ReadonlySet<string>): void {
    const value = plain(val);
    if (paths.has(name)) {
      if (value === undefined) values.delete(name);
      else values.set(name, value);
      return;
    }
    for (const path of paths) {
      if (/^[.[]/.test(name.slice(path.length)) && name.startsWith(path) && values.has(path)) {
        change(values.get(path) as Json, name.slice(path.length), op, value);
      }
    }
  }
}

/** Applies a change below a value. */
function change(target: Json | Json[], rest: string, op: string, value: unknown): void {
  const steps = parsePropertyPath(rest.startsWith('.') ? rest.slice(1) : `x${rest}`);
  assert.ok(steps !== undefined, rest);
  const way = rest.startsWith('.') ? steps : steps.slice(1);
  let at: unknown = target;
  for (const [index, step] of way.entries()) {
    const last = index === way.length - 1;
    if ('name' in step) {
      const object = at as Json;
      if (!last) at = object[step.name];
      else if (value === undefined) delete object[step.name];
      else object[step.name] = value;
      continue;
    }
    const array = at as Json[];
    const position = array.findIndex((element) => (element.key ?? element.value) === step.key);
    if (!last) at = array[position];
    else if (op === 'remove') array.splice(position, 1);
    else if (position >= 0) array[position] = value as Json;
    else array.push(value as Json);
  }
}

/** A value without its boxes and tags. */
function plain(value: unknown): unknown {
  return (
    JSON.parse(JSON.stringify(value ?? null), (key, inner: unknown) => {
      if (typeof inner !== 'object' || inner === null || Array.isArray(inner))
        return key === '_typeName' ? undefined : inner;
      return '_value' in inner ? inner._value : inner;
    }) ?? undefined
  );
}

function retrieved(contents: readonly ObjectContent[]): State {
  const state: State = new Map();
  for (const { obj, propSet = [] } of contents) {
    state.set(obj.value, new Map(propSet.map(({ name, val }) => [name, plain(val)])));
  }
  return state;
}

const machinePaths = [
  'name',
  'config',
  'config.hardware',
  'config.hardware.device',
  'config.hardware.device[2000]',
  'config.hardware.device[2000].capacityInKB',
  'config.hardware.device[2001].deviceInfo.label',
  'config.extraConfig["guestinfo.x"].value',
  'config.extraConfig',
  'runtime.powerState',
  'guest.ipAddress',
  'network',
  'parent',
];
const folderPaths = ['name', 'childEntity'];

type World = ReturnType<typeof smallDatacenter>;

/** Random changes: each takes numbers and does what it can with what is there. */
const changes: ((world: World, a: number, b: number) => void)[] = [
  // A new machine in some folder.
  (world, a) => {
    const folder = pick(folders(world), a);
    world.registry.commit((draft) => {
      const value = fresh('vm');
      const vm = draft.add(world.classOf('VirtualMachine'), value, machine(value, folder) as never);
      draft.set(folder as never, { childEntity: [...children(world, folder), vm] } as never);
    });
  },
  // A new folder.
  (world, a) => {
    const parent = pick(folders(world), a);
    world.registry.commit((draft) => {
      const value = fresh('group-v');
      const folder = draft.add(world.classOf('Folder'), value, { name: value, parent, childEntity: [] } as never);
      draft.set(parent as never, { childEntity: [...children(world, parent), folder] } as never);
    });
  },
  // A machine goes.
  (world, a) => {
    const vm = pick(machines(world), a);
    if (vm === undefined) return;
    const parent = world.registry.get(vm)!.value('parent') as Ref;
    world.registry.commit((draft) => {
      draft.remove(vm);
      draft.set(parent as never, { childEntity: children(world, parent).filter((c) => c.value !== vm.value) } as never);
    });
  },
  // A machine moves; now and then in two commits, so that it is nowhere in between.
  (world, a, b) => {
    const vm = pick(machines(world), a);
    const to = pick(folders(world), b);
    if (vm === undefined) return;
    const from = world.registry.get(vm)!.value('parent') as Ref;
    if (from.value === to.value) return;
    world.set(from, { childEntity: children(world, from).filter((child) => child.value !== vm.value) });
    world.registry.commit((draft) => {
      draft.set(vm as never, { parent: to } as never);
      draft.set(to as never, { childEntity: [...children(world, to), vm] } as never);
    });
  },
  // A folder leads back to the root, or no longer.
  (world, a) => {
    const folder = pick(folders(world), a);
    if (folder.value === world.root.value) return;
    const rest = children(world, folder).filter((child) => child.value !== world.root.value);
    world.set(folder, { childEntity: rest.length === children(world, folder).length ? [...rest, world.root] : rest });
  },
  // A folder hangs in a second place, or loses its first.
  (world, a, b) => {
    const folder = pick(folders(world), a);
    const other = pick(folders(world), b);
    const rest = children(world, other).filter((child) => child.value !== folder.value);
    world.set(other, { childEntity: rest.length === children(world, other).length ? [...rest, folder] : rest });
  },
  (world, a, b) => withConfig(world, a, (config) => ({ ...config, name: `name ${b}` })),
  (world, a, b) =>
    withDevices(world, a, (devices) => devices.map((d) => (d.key === 2000 + (b % 3) ? { ...d, capacityInKB: b } : d))),
  (world, a, b) => withDevices(world, a, (devices) => devices.filter((d) => d.key !== 2000 + (b % 3))),
  (world, a, b) =>
    withDevices(world, a, (devices) =>
      devices.some((d) => d.key === 2000 + (b % 3)) ? devices : [...devices, disk(2000 + (b % 3), b)],
    ),
  (world, a) => withDevices(world, a, (devices) => [...devices].reverse()),
  (world, a, b) =>
    withConfig(world, a, (config) => ({
      ...config,
      extraConfig: b % 3 === 0 ? undefined : [{ _typeName: 'OptionValue', key: 'guestinfo.x', value: b }],
    })),
  (world, a, b) => {
    const vm = pick(machines(world), a);
    if (vm === undefined) return;
    world.set(vm, {
      name: `vm ${b}`,
      runtime: { _typeName: 'VirtualMachineRuntimeInfo', powerState: b % 2 === 0 ? 'poweredOn' : 'poweredOff' },
      guest: b % 3 === 0 ? undefined : { _typeName: 'GuestInfo', ipAddress: `10.0.0.${b % 5}` },
      network: b % 5 === 0 ? [] : [{ type: 'Network', value: `network-${b % 2}` }],
    });
  },
  (world, a) => {
    const vm = pick(machines(world), a);
    if (vm !== undefined) world.set(vm, { config: undefined });
  },
];

let counter = 0;

function fresh(prefix: string): string {
  counter += 1;
  return `${prefix}-${counter}`;
}

function machine(value: string, parent: Ref): Json {
  return { name: value, parent, network: [{ type: 'Network', value: 'network-0' }], config: newConfig() };
}

function newConfig(): Json {
  const device = [
    disk(2000, 1),
    disk(2001, 1),
    { _typeName: 'VirtualE1000', key: 4000, macAddress: '00:50:56:00:00:01' },
  ];
  return {
    _typeName: 'VirtualMachineConfigInfo',
    name: 'x',
    hardware: { _typeName: 'VirtualHardware', numCPU: 1, device },
  };
}

function disk(key: number, capacityInKB: number): Json {
  const deviceInfo = { _typeName: 'Description', label: `Hard disk ${key}`, summary: '' };
  return { _typeName: 'VirtualDisk', key, capacityInKB, deviceInfo };
}

function withConfig(world: World, a: number, edit: (config: Json) => Json): void {
  const vm = pick(machines(world), a);
  if (vm === undefined) return;
  const config = (world.registry.get(vm)!.value('config') as Json | undefined) ?? newConfig();
  world.set(vm, { config: edit(config) });
}

function withDevices(world: World, a: number, edit: (devices: Json[]) => Json[]): void {
  withConfig(world, a, (config) => {
    const hardware = config.hardware as Json;
    return { ...config, hardware: { ...hardware, device: edit(hardware.device as Json[]) } };
  });
}

const machines = (world: World) => [...world.registry.all('VirtualMachine')].map(({ ref }) => ref);
const folders = (world: World) => [...world.registry.all('Folder')].map(({ ref }) => ref);
const children = (world: World, folder: Ref) => world.registry.get(folder)!.value('childEntity') as Ref[];

function pick<T>(from: readonly T[], number: number): T {
  return from[number % from.length] as T;
}

interface FilterPlan {
  readonly by: 'folders' | 'view' | 'flat' | 'network' | 'listed';
  readonly skip: boolean;
  readonly paths: string[];
  readonly partialUpdates: boolean;
}

async function specOf(world: World, call: Caller, plan: FilterPlan): Promise<PropertyFilterSpec> {
  const toNetworks = { _typeName: 'TraversalSpec', type: 'VirtualMachine', path: 'network', skip: plan.skip };
  const objects: Record<FilterPlan['by'], () => Promise<ObjectSpec[]>> = {
    folders: async () => [{ obj: world.root, skip: plan.skip, selectSet: [visitFolders] }],
    view: async () => {
      const args = { container: world.root, recursive: true, type: ['VirtualMachine'] };
      const view = (await call(world.viewManager, 'CreateContainerView', args)) as Ref;
      return [{ obj: view, skip: true, selectSet: [{ type: 'ContainerView', path: 'view' } as never] }];
    },
    flat: async () => {
      const args = { container: world.root, recursive: false };
      const view = (await call(world.viewManager, 'CreateContainerView', args)) as Ref;
      return [{ obj: view, skip: true, selectSet: [{ type: 'ManagedObjectView', path: 'view' } as never] }];
    },
    network: async () => [
      {
        obj: world.root,
        skip: true,
        selectSet: [
          { ...visitFolders, skip: true, selectSet: [{ name: 'visitFolders' }, toNetworks as never] },
        ] as never,
      },
    ],
    listed: async () => machines(world).map((obj) => ({ obj })),
  };
  return {
    objectSet: await objects[plan.by](),
    propSet: [
      { type: 'VirtualMachine', pathSet: plan.paths },
      { type: 'Folder', pathSet: folderPaths },
      { type: 'ManagedEntity', pathSet: ['name'] },
    ],
  };
}

const plans = fc.record({
  by: fc.constantFrom('folders', 'view', 'flat', 'network', 'listed'),
  skip: fc.boolean(),
  paths: fc.uniqueArray(fc.constantFrom(...machinePaths), { maxLength: 6 }),
  partialUpdates: fc.boolean(),
}) as fc.Arbitrary<FilterPlan>;

/** Partial updates do not say to which of two paths, one within the other, they belong. */
function withoutOverlaps({ paths, ...plan }: FilterPlan): FilterPlan {
  const within = (path: string) =>
    paths.some((other) => path !== other && /^[.[]/.test(path.slice(other.length)) && path.startsWith(other));
  return { ...plan, paths: plan.partialUpdates ? paths.filter((path) => !within(path)) : paths };
}

const steps = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.tuple(fc.constant('change'), fc.nat(changes.length - 1), fc.nat(50), fc.nat(50)) },
    {
      weight: 2,
      arbitrary: fc.tuple(
        fc.constantFrom('poll', 'lost', 'poll', 'again', 'canceled'),
        fc.integer({ min: 1, max: 5 }),
        fc.nat(),
        fc.nat(),
      ),
    },
  ),
  { maxLength: 60 },
);

test('whatever changes and however it is split, updates end in what a fresh retrieve shows', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(plans, { minLength: 1, maxLength: 3 }),
      fc.array(fc.nat(40), { maxLength: 12 }),
      steps,
      async (filters, seeds, script) => {
        counter = 0;
        const world = smallDatacenter();
        const session = new TestSession('root');
        const call = world.caller(session);
        world.add('Network', 'network-0', { name: 'one' });
        world.add('Network', 'network-1', { name: 'two' });
        for (const seed of seeds) changes[seed % 2]!(world, seed, seed);
        const collector = (await call(world.collector, 'CreatePropertyCollector')) as Ref;
        const specs = new Map<string, PropertyFilterSpec>();
        for (const plan of filters.map(withoutOverlaps)) {
          const spec = await specOf(world, call, plan);
          const filter = (await call(collector, 'CreateFilter', { spec, partialUpdates: plan.partialUpdates })) as Ref;
          specs.set(filter.value, spec);
        }
        let client = new Follower(specs);
        let version = '';
        const poll = async (maxObjectUpdates: number, keep: boolean) => {
          const options = { maxWaitSeconds: 0, maxObjectUpdates };
          const set = (await call(collector, 'WaitForUpdatesEx', { version, options })) as UpdateSet | undefined;
          if (set === undefined || !keep) return set;
          client.apply(set);
          version = set.version;
          return set;
        };
        for (const [kind, a, b, c] of script) {
          if (kind === 'change') changes[a]!(world, b, c);
          else if (kind === 'canceled') await call(collector, 'CancelWaitForUpdates');
          else if (kind === 'again' && a === 1) {
            client = new Follower(specs);
            version = '';
          } else await poll(a, kind === 'poll');
        }
        while ((await poll(3, true)) !== undefined);
        for (const [filter, spec] of specs) {
          const specSet = [{ ...spec, reportMissingObjectsInResults: true }];
          const contents = await call(world.collector, 'RetrieveProperties', { specSet });
          const expected = retrieved([...(contents as Iterable<ObjectContent>)]);
          const known = client.filters.get(filter) ?? new Map();
          assert.deepEqual(sorted(known), sorted(expected));
        }
        session.end();
        assert.equal([...world.registry.all('View')].length, 0);
        assert.equal([...world.registry.all('PropertyFilter')].length, 0);
        assert.deepEqual(world.defects, []);
        world.feed.close();
      },
    ),
    { numRuns: Number(process.env.COLLECTOR_RUNS ?? 60) },
  );
});

function sorted(state: State): unknown {
  return [...state]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([value, values]) => [value, Object.fromEntries([...values].sort())]);
}
