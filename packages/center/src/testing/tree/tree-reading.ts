import assert from 'node:assert/strict';
import type { ManagedObject, ManagedObjectReference } from '@hypostyle/vim';
import type { TestCenter } from '../center-fixture.ts';
import type { TreeModel } from './tree-model.ts';
import type { NodeKind } from './tree-node.ts';

const kinds: readonly NodeKind[] = [
  'Folder',
  'Datacenter',
  'ClusterComputeResource',
  'ComputeResource',
  'ResourcePool',
  'VirtualApp',
  'HostSystem',
  'VirtualMachine',
];

/** Properties that list what is right below, by which the tree is walked. */
const downwards = ['childEntity', 'vmFolder', 'hostFolder', 'datastoreFolder', 'networkFolder', 'host', 'resourcePool'];

type Reference = ManagedObjectReference;

/** Every entity once, by type exactly. */
function entities({ center }: TestCenter): ManagedObject[] {
  return [...center.registry.all('ManagedEntity')].filter(({ ref }) => kinds.includes(ref.type as NodeKind));
}

function below(object: ManagedObject): string[] {
  if (object.ref.type === 'HostSystem' || object.ref.type === 'VirtualMachine') return [];
  return downwards.flatMap((property) => {
    const value = object.value(property) as Reference | readonly Reference[] | undefined;
    return (value === undefined ? [] : Array.isArray(value) ? value : [value]).map((ref: Reference) => ref.value);
  });
}

/** Parents and children say the same, and everything is reached from the root folder. */
export function assertWhole(center: TestCenter): void {
  const all = new Map(entities(center).map((object) => [object.ref.value, object]));
  for (const object of all.values()) {
    const parent = object.value('parent') as Reference | undefined;
    const { value, type } = object.ref;
    if (parent !== undefined) {
      const above = all.get(parent.value);
      assert.ok(above && below(above).includes(value), `${value} is below ${parent.value}`);
    } else assert.ok(type === 'VirtualMachine' || value === 'group-d1', `${value} has no parent`);
    for (const child of below(object)) {
      const at = all.get(child);
      // Datastores and networks are no part of this.
      if (at === undefined) {
        assert.match(child, /^(datastore|network)-/);
        continue;
      }
      const folder = at.value('parentFolder') as Reference | undefined;
      const places = [at.value('parent') as Reference | undefined, folder].map((ref) => ref?.value);
      assert.ok(places.includes(value), `${child} is in ${value}`);
    }
    if (type !== 'VirtualMachine') continue;
    const pool = all.get((object.value('resourcePool') as Reference).value);
    assert.ok(
      ((pool?.value('vm') ?? []) as readonly Reference[]).some((vm) => vm.value === value),
      `${value} is in its pool`,
    );
  }
}

export function assertAsModel(center: TestCenter, model: TreeModel): void {
  const shown = entities(center).map((object) => {
    const at = (property: string) => (object.value(property) as Reference | undefined)?.value;
    return {
      kind: object.ref.type,
      value: object.ref.value,
      name: object.value('name'),
      parent: at('parent'),
      folder: at('parentFolder'),
      pool: object.ref.type === 'VirtualMachine' ? at('resourcePool') : undefined,
    };
  });
  const expected = model.all().map(({ kind, value, name, parent, folder, pool }) => {
    return { kind, value, name, parent, folder, pool };
  });
  const sorted = <T extends { value: string }>(list: T[]) => list.sort((a, b) => (a.value < b.value ? -1 : 1));
  assert.deepEqual(sorted(shown), sorted(expected));
}
