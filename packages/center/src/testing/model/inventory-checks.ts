import assert from 'node:assert/strict';
import type {
  HostListSummary,
  ManagedObject,
  ManagedObjectReference,
  Registry,
  VirtualMachineRuntimeInfo,
} from '@hypostyle/vim';
import { computeSummary } from '../../entities/compute-summary.ts';
import type { TestCenter } from '../center-fixture.ts';

type Ref = ManagedObjectReference;
type Refs = readonly Ref[];

/** Lists are symmetric, and each is what it would be if it were made now. */
export function checkLists(center: TestCenter): void {
  const { registry } = center.center;
  const list = (object: ManagedObject, name: string) => ((object.value(name) ?? []) as Refs).map(({ value }) => value);
  /** Each of `type` is in the list of what its property names, and the list has no other. */
  const symmetric = (
    type:
      | 'VirtualMachine'
      | 'HostSystem'
      | 'Datastore'
      | 'Network'
      | 'Folder'
      | 'Datacenter'
      | 'ResourcePool'
      | 'ComputeResource',
    to: (object: ManagedObject) => Refs,
    ownerType: 'Folder' | 'HostSystem' | 'Datastore' | 'Network' | 'ResourcePool' | 'ComputeResource',
    property: string,
    listed: (value: string) => boolean = () => true,
  ) => {
    const expected = new Map<string, string[]>();
    for (const object of registry.all(type))
      for (const owner of to(object))
        expected.set(owner.value, [...(expected.get(owner.value) ?? []), object.ref.value]);
    for (const owner of registry.all(ownerType))
      assert.deepEqual(
        list(owner, property).filter(listed).sort(),
        (expected.get(owner.ref.value) ?? []).sort(),
        `${property} of ${owner.ref.value} lists each ${type} that is there`,
      );
  };
  const isType = (
    type: 'VirtualMachine' | 'HostSystem' | 'Datastore' | 'Network' | 'Folder' | 'Datacenter' | 'ComputeResource',
  ) => {
    const values = new Set([...registry.all(type)].map(({ ref }) => ref.value));
    return (value: string) => values.has(value);
  };
  const parent = (object: ManagedObject): Refs => {
    const value = object.value('parent') as Ref | undefined;
    return value === undefined ? [] : [value];
  };
  const one =
    (name: string) =>
    (object: ManagedObject): Refs => {
      const value = object.value(name) as Ref | undefined;
      return value === undefined ? [] : [value];
    };
  const many = (name: string) => (object: ManagedObject) => (object.value(name) ?? []) as Refs;
  for (const type of ['VirtualMachine', 'Datastore', 'Network', 'Folder', 'Datacenter', 'ComputeResource'] as const) {
    // A datacenter's four folders have it as their parent, and are no children.
    symmetric(type, parent, 'Folder', 'childEntity', isType(type));
  }
  symmetric('HostSystem', parent, 'ComputeResource', 'host');
  symmetric('ResourcePool', parent, 'ResourcePool', 'resourcePool');
  symmetric('VirtualMachine', one('resourcePool'), 'ResourcePool', 'vm');
  symmetric('VirtualMachine', many('datastore'), 'Datastore', 'vm');
  symmetric('VirtualMachine', many('network'), 'Network', 'vm');
  symmetric('HostSystem', many('network'), 'Network', 'host');
  symmetric(
    'VirtualMachine',
    (object) => {
      const host = (object.value('runtime') as VirtualMachineRuntimeInfo | undefined)?.host;
      return host === undefined ? [] : [host];
    },
    'HostSystem',
    'vm',
  );
  for (const compute of registry.all('ComputeResource')) {
    assert.deepEqual(
      compute.value('summary'),
      computeSummary(center.center.core, compute),
      `summary of ${compute.ref.value}`,
    );
    for (const property of ['datastore', 'network']) {
      const all = new Set(
        ((compute.value('host') ?? []) as Refs).flatMap((host) => list(registry.get(host)!, property)),
      );
      assert.deepEqual(list(compute, property).sort(), [...all].sort(), `${property} of ${compute.ref.value}`);
    }
  }
  for (const store of [...registry.all('Datastore'), ...registry.all('Network')])
    assert.ok(center.center.core.hosts.shared.hostsOf(store.ref.value).length > 0, `some host has ${store.ref.value}`);
  for (const store of registry.all('Datastore')) {
    const mounts = ((store.value('host') ?? []) as readonly { readonly key: Ref }[]).map(({ key }) => key.value);
    const having = [...registry.all('HostSystem')].filter((host) => list(host, 'datastore').includes(store.ref.value));
    assert.deepEqual(mounts.sort(), having.map(({ ref }) => ref.value).sort(), `hosts of ${store.ref.value}`);
  }
  for (const host of registry.all('HostSystem')) {
    const summary = host.value('summary') as HostListSummary;
    assert.equal(summary.config.name, host.value('name'));
    assert.deepEqual(summary.host?.value, host.ref.value);
  }
}

/** What an entity must show, it shows. */
export function checkRequired(center: TestCenter): void {
  for (const object of center.center.registry.all('ManagedEntity'))
    for (const { name, optional, type } of object.managedType.properties)
      if (!optional && !type.array && !(name in (object.class.perSession ?? {})) && !unknowable.includes(name))
        assert.ok(object.value(name) !== undefined, `${object.ref.value} has no ${name}`);
}

/** References that only the host can tell. */
const unknowable = ['browser', 'datastoreBrowser', 'environmentBrowser'];

/** Every reference that is shown leads somewhere. */
export function checkReferences(registry: Registry, where: string): void {
  for (const object of registry.all()) {
    // Tasks and events speak of what is gone, too.
    if (['Task', 'EventManager', 'EventHistoryCollector'].includes(object.ref.type)) continue;
    for (const { name } of object.managedType.properties)
      for (const ref of referencesIn(object.value(name)))
        assert.ok(
          registry.get(ref),
          `${where}: ${object.ref.value} ${name} names ${ref.type} ${ref.value}, which is not there`,
        );
  }
}

function* referencesIn(value: unknown): Iterable<Ref> {
  if (typeof value !== 'object' || value === null) return;
  if (Array.isArray(value)) {
    for (const element of value) yield* referencesIn(element);
    return;
  }
  if ((value as { readonly _typeName?: string })._typeName === 'ManagedObjectReference') {
    yield value as Ref;
    return;
  }
  for (const member of Object.values(value)) yield* referencesIn(member);
}
