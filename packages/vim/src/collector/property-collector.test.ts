import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ObjectContent, PropertyFilterSpec, RetrieveResult, UpdateSet } from '../generated/types.ts';
import { VimFault } from '../runtime/fault.ts';
import type { ManagedObjectReference } from '../schema/values.ts';
import { type Caller, smallDatacenter, TestSession, viewFilter, visitFolders } from './testing/small-datacenter.ts';

type Ref = ManagedObjectReference;

function withMachines(count: number, world = smallDatacenter()) {
  const refs = world.registry.commit((draft) => {
    const machines = Array.from({ length: count }, (_, i) =>
      draft.add(world.classOf('VirtualMachine'), `vm-${i}`, {
        name: `vm ${i}`,
        parent: world.root as never,
        runtime: { powerState: 'poweredOff' } as never,
        config: {
          uuid: `u-${i}`,
          hardware: { device: [{ _typeName: 'VirtualDisk', key: 2000, capacityInKB: 8 }] },
        } as never,
      }),
    );
    draft.set(world.root, { childEntity: machines as never });
    return machines;
  });
  return { ...world, refs };
}

const everyMachine = (root: Ref, ...pathSet: string[]): PropertyFilterSpec => ({
  objectSet: [{ obj: root, selectSet: [visitFolders] }],
  propSet: [{ type: 'VirtualMachine', pathSet }],
});

async function retrieve(call: Caller, collector: Ref, ...specSet: PropertyFilterSpec[]): Promise<ObjectContent[]> {
  return [...((await call(collector, 'RetrieveProperties', { specSet })) as Iterable<ObjectContent>)];
}

const rejected = (type: string) => (error: unknown) => error instanceof VimFault && error.type === type;

const wait = (call: Caller, collector: Ref, version: string, maxWaitSeconds?: number) =>
  call(collector, 'WaitForUpdatesEx', { version, options: { maxWaitSeconds } }) as Promise<UpdateSet | undefined>;

test('values go out with their declared type', async () => {
  const world = withMachines(1);
  const call = world.caller(new TestSession('root'));
  const paths = [
    'name',
    'config.hardware.device',
    'config.hardware.device[2000].capacityInKB',
    'runtime.powerState',
    'parent',
    'runtime',
    'config.hardware.numCPU',
  ];
  const [content] = await retrieve(call, world.collector, everyMachine(world.root, ...paths));
  const values = Object.fromEntries(content!.propSet!.map(({ name, val }) => [name, val]));
  assert.deepEqual(values, {
    name: 'vm 0',
    'config.hardware.device': {
      _typeName: 'ArrayOfVirtualDevice',
      _value: [{ _typeName: 'VirtualDisk', key: 2000, capacityInKB: 8 }],
    },
    'config.hardware.device[2000].capacityInKB': { _typeName: 'long', _value: 8 },
    'runtime.powerState': { _typeName: 'VirtualMachinePowerState', _value: 'poweredOff' },
    runtime: { _typeName: 'VirtualMachineRuntimeInfo', powerState: 'poweredOff' },
    parent: { _typeName: 'ManagedObjectReference', type: 'Folder', value: 'group-d1' },
  });
});

test('a retrieval goes on by its token, for its session alone, until canceled', async () => {
  const world = withMachines(5);
  const session = new TestSession('root');
  const call = world.caller(session);
  const specSet = [everyMachine(world.root, 'name')];
  const first = (await call(world.collector, 'RetrievePropertiesEx', {
    specSet,
    options: { maxObjects: 2 },
  })) as RetrieveResult;
  assert.equal([...first.objects].length, 2);
  const { token } = first;
  const stranger = world.caller(new TestSession('other'));
  await assert.rejects(
    stranger(world.collector, 'ContinueRetrievePropertiesEx', { token }),
    rejected('InvalidArgument'),
  );
  const second = (await call(world.collector, 'ContinueRetrievePropertiesEx', { token })) as RetrieveResult;
  const third = (await call(world.collector, 'ContinueRetrievePropertiesEx', {
    token: second.token,
  })) as RetrieveResult;
  assert.deepEqual([[...second.objects].length, [...third.objects].length, third.token], [2, 1, undefined]);
  await assert.rejects(call(world.collector, 'CancelRetrievePropertiesEx', { token }), rejected('InvalidArgument'));
});

test('10,000 objects are selected in turns of the event loop, and read while they are sent', async () => {
  const world = withMachines(10_000);
  const call = world.caller(new TestSession('root'));
  let turns = 0;
  let done = false;
  const count = () => {
    turns += 1;
    if (!done) setImmediate(count);
  };
  setImmediate(count);
  const specSet = [everyMachine(world.root, 'name')];
  const contents = (await call(world.collector, 'RetrieveProperties', { specSet })) as Iterable<ObjectContent>;
  done = true;
  assert.ok(turns > 1, 'others had no turn while the objects were selected');
  assert.ok(!Array.isArray(contents));
  assert.equal([...contents].length, 10_000);
});

test('what may not be read is missing, and what may not be seen is not there', async () => {
  const hidden = new Set(['vm-1']);
  const world = withMachines(
    2,
    smallDatacenter({ holds: (_session, ref, privilege) => !hidden.has(ref.value) && privilege !== 'System.Read' }),
  );
  const contents = await retrieve(
    world.caller(new TestSession('guest')),
    world.collector,
    everyMachine(world.root, 'name', 'config'),
  );
  assert.deepEqual(
    contents.map(({ obj }) => obj.value),
    ['vm-0'],
  );
  assert.deepEqual(
    contents[0]!.propSet?.map(({ name }) => name),
    ['name'],
  );
  const [missing] = contents[0]!.missingSet!;
  assert.deepEqual([missing!.path, missing!.fault.fault._typeName], ['config', 'NoPermission']);
  const [unknown] = await retrieve(world.caller(undefined), world.collector, {
    objectSet: [{ obj: world.root }],
    propSet: [{ type: 'Folder', pathSet: ['name'] }],
  });
  assert.equal(unknown!.missingSet![0]!.fault.fault._typeName, 'NotAuthenticated');
});

test('a start that is gone is ManagedObjectNotFound, or reported when that was asked for', async () => {
  const world = withMachines(1);
  const call = world.caller(new TestSession('root'));
  const gone = { type: 'VirtualMachine', value: 'vm-9' };
  const spec = { objectSet: [{ obj: gone }], propSet: [{ type: 'VirtualMachine', pathSet: ['name'] }] };
  await assert.rejects(retrieve(call, world.collector, spec), rejected('ManagedObjectNotFound'));
  await assert.rejects(
    call(world.collector, 'CreateFilter', { spec, partialUpdates: false }),
    rejected('ManagedObjectNotFound'),
  );
  const lenient = { ...spec, reportMissingObjectsInResults: true };
  assert.deepEqual(await retrieve(call, world.collector, lenient), []);
  await call(world.collector, 'CreateFilter', { spec: lenient, partialUpdates: false });
  const set = await wait(call, world.collector, '', 0);
  assert.equal(set!.filterSet![0]!.missingSet![0]!.obj.value, 'vm-9');
  const bad = { ...spec, propSet: [{ type: 'VirtualMachine', pathSet: ['nonsense'] }] };
  await assert.rejects(retrieve(call, world.collector, bad), rejected('InvalidProperty'));
});

test('a wait wakes soon after the change, and only for what it follows', async () => {
  const world = withMachines(3);
  const call = world.caller(new TestSession('root'));
  await call(world.collector, 'CreateFilter', { spec: everyMachine(world.root, 'name'), partialUpdates: false });
  const first = await wait(call, world.collector, '');
  assert.equal(first!.filterSet![0]!.objectSet!.length, 3);
  const waiting = wait(call, world.collector, first!.version);
  world.set(world.refs[0]!, { overallStatus: 'green' });
  await sleep(40);
  world.set(world.refs[1]!, { name: 'new' });
  // Soon: not at the end of the time that a wait may take.
  const set = await Promise.race([waiting, sleep(10_000, 'late', { ref: false })]);
  assert.ok(typeof set === 'object');
  assert.deepEqual(set!.filterSet![0]!.objectSet, [
    { kind: 'modify', obj: world.refs[1], changeSet: [{ name: 'name', op: 'assign', val: 'new' }] },
  ]);
  assert.deepEqual(await wait(call, world.collector, first!.version), set, 'a lost reply is told again');
  assert.equal(await wait(call, world.collector, set!.version, 0), undefined);
  await assert.rejects(wait(call, world.collector, 'x', 0), rejected('InvalidCollectorVersion'));
});

test('two sessions following the same paths are told by the same objects', async () => {
  const world = withMachines(2);
  const sets: UpdateSet[] = [];
  for (const name of ['a', 'b']) {
    const call = world.caller(new TestSession(name));
    await call(world.collector, 'CreateFilter', { spec: everyMachine(world.root, 'name'), partialUpdates: false });
    sets.push((await wait(call, world.collector, ''))!);
  }
  const [a, b] = sets.map(({ filterSet }) => filterSet![0]!.objectSet![0]);
  assert.equal(a, b);
});

test('a large set comes in parts, each truncated but the last', async () => {
  const world = withMachines(250);
  const call = world.caller(new TestSession('root'));
  await call(world.collector, 'CreateFilter', { spec: everyMachine(world.root, 'name'), partialUpdates: false });
  const sizes: unknown[] = [];
  for (let version = ''; ; ) {
    const set = await wait(call, world.collector, version, 0);
    if (set === undefined) break;
    sizes.push([set.filterSet![0]!.objectSet!.length, set.truncated]);
    version = set.version;
  }
  assert.deepEqual(sizes, [
    [100, true],
    [100, true],
    [50, undefined],
  ]);
});

test('cancel, the end of the session and a client gone end a wait', async () => {
  const world = withMachines(1);
  const session = new TestSession('root');
  const call = world.caller(session);
  const canceled = wait(call, world.collector, '');
  await sleep(5);
  await call(world.collector, 'CancelWaitForUpdates');
  await assert.rejects(canceled, rejected('RequestCanceled'));
  const gone = new AbortController();
  const left = call(world.collector, 'WaitForUpdates', { version: '' }, gone.signal);
  await sleep(5);
  gone.abort();
  await assert.rejects(left, rejected('RequestCanceled'));
  const ended = wait(call, world.collector, '');
  await sleep(5);
  session.end();
  await assert.rejects(ended, rejected('RequestCanceled'));
});

test('a client that leaves at any moment of a wait ends it', { timeout: 20_000 }, async () => {
  const world = withMachines(1);
  const call = world.caller(new TestSession('root'));
  for (let turns = 0; turns < 40; turns += 1) {
    const gone = new AbortController();
    const left = call(world.collector, 'WaitForUpdates', { version: '' }, gone.signal);
    for (let turn = 0; turn < turns; turn += 1) await undefined;
    gone.abort();
    await assert.rejects(left, rejected('RequestCanceled'));
  }
});

test('filters, collectors and views are there for their session alone, and go with it', async () => {
  const world = withMachines(1);
  const session = new TestSession('root');
  const call = world.caller(session);
  const stranger = world.caller(new TestSession('other'));
  const collector = (await call(world.collector, 'CreatePropertyCollector')) as Ref;
  const view = (await call(world.viewManager, 'CreateContainerView', {
    container: world.root,
    recursive: true,
  })) as Ref;
  const spec = viewFilter(view, { VirtualMachine: ['name'] });
  const filter = (await call(collector, 'CreateFilter', { spec, partialUpdates: false })) as Ref;
  for (const [ref, method] of [
    [collector, 'CheckForUpdates'],
    [filter, 'DestroyPropertyFilter'],
    [view, 'DestroyView'],
  ] as const) {
    await assert.rejects(stranger(ref, method), rejected('ManagedObjectNotFound'));
  }
  await assert.rejects(retrieve(stranger, world.collector, spec), rejected('ManagedObjectNotFound'));
  const own = { objectSet: [{ obj: collector }], propSet: [{ type: 'PropertyCollector', pathSet: ['filter'] }] };
  const [content] = await retrieve(call, world.collector, own);
  assert.deepEqual(content!.propSet![0]!.val, { _typeName: 'ArrayOfManagedObjectReference', _value: [filter] });
  session.end();
  for (const ref of [collector, filter, view]) assert.equal(world.registry.get(ref), undefined);
});

test('each change of an object is told, one right after the other', async () => {
  const world = withMachines(1);
  const call = world.caller(new TestSession('root'));
  await call(world.collector, 'CreateFilter', { spec: everyMachine(world.root, 'name'), partialUpdates: false });
  let { version } = (await wait(call, world.collector, ''))!;
  for (const name of ['a', 'b', 'c']) {
    world.set(world.refs[0]!, { name });
    const set = await wait(call, world.collector, version, 0);
    assert.equal(set?.filterSet?.[0]?.objectSet?.[0]?.changeSet?.[0]?.val, name);
    ({ version } = set!);
  }
});

test('an object that took the reference of one that went leaves and enters', async () => {
  const world = withMachines(1);
  const call = world.caller(new TestSession('root'));
  await call(world.collector, 'CreateFilter', { spec: everyMachine(world.root, 'name'), partialUpdates: false });
  const { version } = (await wait(call, world.collector, ''))!;
  world.registry.commit((draft) => draft.remove(world.refs[0]!));
  world.add('VirtualMachine', 'vm-0', { name: 'another' });
  const set = await wait(call, world.collector, version, 0);
  assert.deepEqual(
    set!.filterSet![0]!.objectSet!.map(({ kind }) => kind),
    ['leave', 'enter'],
  );
});

test('what may not be read is not told by updates either', async () => {
  const world = withMachines(1, smallDatacenter({ holds: (_session, _ref, privilege) => privilege === 'System.View' }));
  const call = world.caller(new TestSession('guest'));
  await call(world.collector, 'CreateFilter', {
    spec: everyMachine(world.root, 'name', 'config'),
    partialUpdates: true,
  });
  const first = await wait(call, world.collector, '');
  const [update] = first!.filterSet![0]!.objectSet!;
  assert.deepEqual(
    update!.changeSet!.map(({ name }) => name),
    ['name'],
  );
  assert.deepEqual(
    update!.missingSet!.map(({ path }) => path),
    ['config'],
  );
  world.set(world.refs[0]!, { config: { uuid: 'secret' } });
  assert.ok(!JSON.stringify((await wait(call, world.collector, first!.version, 0)) ?? null).includes('secret'));
});
