import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadSchema } from '../schema/schema.ts';
import type { ManagedObjectClass } from './managed-object.ts';
import { Registry } from './registry.ts';

const folder: ManagedObjectClass<'Folder'> = { type: 'Folder', methods: {} };
const machine: ManagedObjectClass<'VirtualMachine'> = {
  type: 'VirtualMachine',
  methods: {},
  derived: {
    guestHeartbeatStatus: { from: ['name'], compute: (self) => (self.value('name') === 'a' ? 'green' : 'gray') },
  },
};

test('a commit is one version, and a thrown one changes nothing', () => {
  const registry = new Registry(loadSchema());
  const woken: number[] = [];
  registry.onCommit((version) => woken.push(version));
  const root = registry.commit((draft) => {
    const ref = draft.add(folder, 'group-d1', { name: 'Datacenters' });
    draft.set(ref, { overallStatus: 'green' });
    return ref;
  });
  assert.deepEqual(woken, [registry.version]);
  assert.equal(registry.read(root, 'name'), 'Datacenters');
  assert.throws(() =>
    registry.commit((draft) => {
      draft.set(root, { name: 'half' });
      throw new Error('no');
    }),
  );
  assert.equal(registry.read(root, 'name'), 'Datacenters');
  registry.commit((draft) => draft.set(root, { name: 'Datacenters' }));
  assert.equal(woken.length, 1, 'setting what is there already wakes nobody');
});

test('followers read only what changed since their version, removed objects too', () => {
  const registry = new Registry(loadSchema());
  const refs = registry.commit((draft) => ['1', '2', '3'].map((id) => draft.add(machine, id, { name: id })));
  const before = registry.version;
  const cursor = registry.follow();
  registry.commit((draft) => draft.set(refs[1]!, { name: 'a' }));
  registry.commit((draft) => draft.remove(refs[0]!));
  const changed = [...registry.changedSince(before)];
  assert.deepEqual(
    changed.map((object) => [object.ref.value, object.removed]),
    [
      ['1', true],
      ['2', false],
    ],
  );
  const late = registry.follow(before);
  cursor.advance(registry.version);
  assert.equal([...registry.changedSince(before)].length, 2, 'kept for the cursor that has not passed it');
  late.close();
  assert.deepEqual(
    [...registry.changedSince(0)].map((object) => object.ref.value),
    ['2', '3'],
  );
});

test('within its commit an object that is added has its derived properties', () => {
  const registry = new Registry(loadSchema());
  registry.commit((draft) => {
    const ref = draft.add(machine, '1', { name: 'b' });
    assert.equal(draft.get(ref, 'guestHeartbeatStatus'), 'gray');
    draft.set(ref, { name: 'a' });
    assert.equal(draft.get(ref, 'guestHeartbeatStatus'), 'green');
  });
});

test('a derived property follows its sources', () => {
  const registry = new Registry(loadSchema());
  const ref = registry.commit((draft) => draft.add(machine, '7', { name: 'b' }));
  assert.equal(registry.read(ref, 'guestHeartbeatStatus'), 'gray');
  registry.commit((draft) => draft.set(ref, { name: 'a' }));
  const object = registry.get(ref)!;
  assert.equal(object.value('guestHeartbeatStatus'), 'green');
  assert.equal(object.propertyVersion('guestHeartbeatStatus'), registry.version);
});
