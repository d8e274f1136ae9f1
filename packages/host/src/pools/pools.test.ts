import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ManagedObjectReference, ResourceConfigSpec, VimFault } from '@hypostyle/vim';
import { references } from '../inventory/references.ts';
import { Computer, type Daemon, smallMachine, vmFolder } from '../testing/host-fixture.ts';

type Machine = ManagedObjectReference<'VirtualMachine'>;
type Pool = ManagedObjectReference<'ResourcePool'>;
const { rootPool } = references;
const named = (type: string) => (error: unknown) => (error as VimFault).type === type;

function spec(reservation = 0, members: object = {}): ResourceConfigSpec {
  const allocation = {
    _typeName: 'ResourceAllocationInfo' as const,
    reservation,
    expandableReservation: true,
    limit: -1,
    shares: { _typeName: 'SharesInfo' as const, shares: 0, level: 'normal' as const },
  };
  return { _typeName: 'ResourceConfigSpec', cpuAllocation: allocation, memoryAllocation: allocation, ...members };
}

const create = (daemon: Daemon, parent: Pool, name: string, config = spec()) =>
  daemon.call(parent, 'CreateResourcePool', { name, spec: config }) as Promise<Pool>;
const read = (daemon: Daemon, pool: Pool) => {
  const { registry } = daemon.host;
  return {
    name: registry.read(pool, 'name'),
    parent: registry.read(pool, 'parent')?.value,
    pools: registry.read(pool, 'resourcePool')?.map(({ value }) => value),
    machines: registry.read(pool, 'vm')?.map((vm) => registry.read(vm, 'name')),
  };
};

async function withHost(work: (daemon: Daemon, computer: Computer) => Promise<Daemon | undefined>): Promise<void> {
  const computer = await Computer.make();
  try {
    const daemon = await computer.start();
    const last = await work(daemon, computer);
    assert.deepEqual(computer.defects, []);
    await (last ?? daemon).host.close();
  } finally {
    await computer.remove();
  }
}

test('pools lie in pools, machines in them, over restarts, and pools that go leave their machines to the one above', async () => {
  await withHost(async (first, computer) => {
    const web = await create(first, rootPool, 'web');
    const inner = await create(first, web, 'inner');
    const config = { ...smallMachine('a'), pool: inner };
    const a = (await first.task(vmFolder, 'CreateVM_Task', config)) as Machine;
    const b = (await first.task(vmFolder, 'CreateVM_Task', smallMachine('b'))) as Machine;
    await first.call(web, 'MoveIntoResourcePool', { list: [b] });
    await first.task(inner, 'Rename_Task', { newName: 'deep' });
    // A change of the machine leaves it where it is.
    await first.task(b, 'ReconfigVM_Task', { spec: { annotation: 'x' } });
    await first.host.close();

    const daemon = await computer.start();
    assert.deepEqual(read(daemon, rootPool).pools, [web.value]);
    assert.deepEqual(read(daemon, web), { name: 'web', parent: rootPool.value, pools: [inner.value], machines: ['b'] });
    assert.deepEqual(read(daemon, inner), { name: 'deep', parent: web.value, pools: [], machines: ['a'] });
    assert.equal(daemon.read(a, 'resourcePool')?.value, inner.value);
    await daemon.call(rootPool, 'MoveIntoResourcePool', { list: [inner] });
    assert.equal(read(daemon, inner).parent, rootPool.value);
    await daemon.call(web, 'MoveIntoResourcePool', { list: [inner] });
    await daemon.task(web, 'Destroy_Task');
    assert.deepEqual(read(daemon, rootPool).pools, []);
    assert.deepEqual(read(daemon, rootPool).machines?.sort(), ['a', 'b']);
    assert.equal(daemon.read(a, 'resourcePool')?.value, rootPool.value);
    assert.equal(daemon.host.registry.get(inner), undefined);
    return daemon;
  });
});

test('what cannot be done with pools is refused, and nothing of it is done', async () => {
  await withHost(async (daemon) => {
    const web = await create(daemon, rootPool, 'web');
    const inner = await create(daemon, web, 'inner');
    const db = await create(daemon, rootPool, 'db');
    await assert.rejects(create(daemon, rootPool, 'web'), named('DuplicateName'));
    await assert.rejects(create(daemon, rootPool, ''), named('InvalidName'));
    await assert.rejects(create(daemon, rootPool, 'much', spec(2 ** 40)), named('InsufficientCpuResourcesFault'));
    await assert.rejects(create(daemon, rootPool, 'less', spec(-1)), named('InvalidArgument'));
    await assert.rejects(daemon.call(inner, 'MoveIntoResourcePool', { list: [web] }), named('InvalidArgument'));
    await assert.rejects(daemon.call(db, 'UpdateConfig', { name: 'web' }), named('DuplicateName'));
    await assert.rejects(daemon.call(rootPool, 'UpdateConfig', { name: 'x' }), named('NotSupported'));
    await assert.rejects(daemon.call(rootPool, 'Destroy_Task'), named('NotSupported'));
    const stale = { config: spec(0, { changeVersion: '2001-01-01T00:00:00Z' }) };
    await assert.rejects(daemon.call(web, 'UpdateConfig', stale), named('ConcurrentAccess'));
    const children = { spec: [spec(10, { entity: db }), spec(10, { entity: inner })] };
    await assert.rejects(daemon.call(rootPool, 'UpdateChildResourceConfiguration', children), named('InvalidArgument'));
    assert.equal(Number(daemon.host.registry.read(db, 'config')?.cpuAllocation.reservation), 0);
    assert.deepEqual(read(daemon, rootPool).pools, [web.value, db.value]);
    return undefined;
  });
});

test('shares and limits are kept and shown, and reservations are counted by what runs', async () => {
  await withHost(async (daemon) => {
    const { registry } = daemon.host;
    const web = await create(daemon, rootPool, 'web', spec(100));
    const config = { ...(smallMachine('a').config as object), cpuAllocation: { reservation: 50n } };
    const a = (await daemon.task(vmFolder, 'CreateVM_Task', { config, pool: web })) as Machine;
    const used = () => registry.read(web, 'runtime')?.cpu.reservationUsedForVm;
    assert.equal(Number(used()), 0);
    await daemon.task(a, 'PowerOnVM_Task');
    assert.equal(Number(used()), 50);
    assert.equal(Number(registry.read(rootPool, 'runtime')?.cpu.reservationUsed), 100);
    await daemon.task(a, 'PowerOffVM_Task');
    assert.equal(Number(used()), 0);

    const high = spec(20, { entity: web });
    const allocation = { ...high.cpuAllocation, limit: 200, shares: { level: 'high', shares: 0 } };
    const children = [{ ...high, cpuAllocation: allocation }];
    await daemon.call(rootPool, 'UpdateChildResourceConfiguration', { spec: children });
    const shown = registry.read(web, 'config')?.cpuAllocation;
    assert.deepEqual([shown?.limit, shown?.shares?.level, shown?.shares?.shares], [200, 'high', 8000]);
    await daemon.call(web, 'UpdateChildResourceConfiguration', { spec: [spec(30, { entity: a })] });
    assert.equal(Number(daemon.read(a, 'resourceConfig')?.cpuAllocation.reservation), 30);
    assert.equal(registry.read(web, 'childConfiguration')?.[0]?.entity?.value, a.value);
    return undefined;
  });
});
