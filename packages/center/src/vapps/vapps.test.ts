import assert from 'node:assert/strict';
import { test } from 'node:test';
import { smallMachine } from '@hypostyle/host/testing';
import { data, type ManagedObjectReference, MemoryPersistence, VimFault } from '@hypostyle/vim';
import { HostNetwork, TestCenter } from '../testing/center-fixture.ts';

const named = (type: string) => (error: unknown) => error instanceof VimFault && error.type === type;
const plain = () => {
  const allocation = data('ResourceAllocationInfo', {});
  return data('ResourceConfigSpec', { cpuAllocation: allocation, memoryAllocation: allocation });
};

type VApp = ManagedObjectReference<'VirtualApp'>;
type Machine = ManagedObjectReference<'VirtualMachine'>;

async function newVApp(center: TestCenter, parent: ManagedObjectReference, name: string): Promise<VApp> {
  const spec = { name, resSpec: plain(), configSpec: data('VAppConfigSpec', {}) };
  return (await center.call(parent, 'CreateVApp', spec)) as VApp;
}

async function newMachine(center: TestCenter, pool: ManagedObjectReference, name: string): Promise<Machine> {
  const { config } = smallMachine(name) as { config: object };
  return (await center.task(pool, 'CreateChildVM_Task', { config })) as Machine;
}

async function withCenter(work: (center: TestCenter, again: () => Promise<TestCenter>) => Promise<void>) {
  const network = new HostNetwork();
  await network.add('local');
  const disk = new MemoryPersistence();
  let center = await TestCenter.open(network, disk, 'local');
  await work(center, async () => {
    await center.close();
    center = await TestCenter.open(network, disk, 'local');
    return center;
  });
  assert.deepEqual(center.defects, []);
  await center.close();
  await network.remove();
}

test('a vApp starts its machines in their order, and stops them in the other one', { timeout: 60_000 }, async () => {
  await withCenter(async (first, again) => {
    const [root] = first.all('ResourcePool');
    assert.ok(root);
    const vApp = await newVApp(first, root, 'shop');
    assert.match(vApp.value, /^resgroup-v\d+$/);
    const [db, app, web] = [
      await newMachine(first, vApp, 'db'),
      await newMachine(first, vApp, 'app'),
      await newMachine(first, vApp, 'web'),
    ];
    assert.equal(first.read(db, 'parent'), undefined);
    assert.deepEqual(first.read(db, 'parentVApp'), vApp);
    const entity = (key: Machine, startOrder: number) => ({
      _typeName: 'VAppEntityConfigInfo',
      key,
      startOrder,
      startDelay: 0,
    });
    const spec = { entityConfig: [entity(web, 3), entity(db, 1), entity(app, 2)], annotation: 'a shop' };
    await first.call(vApp, 'UpdateVAppConfig', { spec: data('VAppConfigSpec', spec as never) });
    const stranger = data('VAppConfigSpec', { entityConfig: [entity(root as never, 1)] as never });
    await assert.rejects(first.call(vApp, 'UpdateVAppConfig', { spec: stranger }), named('InvalidArgument'));

    const center = await again();
    const summary = () => center.read(vApp, 'summary') as { vAppState?: string; suspended?: boolean };
    assert.equal(center.read(vApp, 'vAppConfig')?.annotation, 'a shop');
    assert.equal(summary().vAppState, 'stopped');
    await assert.rejects(center.call(vApp, 'PowerOffVApp_Task', { force: false }), named('InvalidPowerState'));
    const on: string[] = [];
    center.center.registry.onCommit(() => {
      for (const machine of [db, app, web])
        if (center.read(machine, 'runtime')?.powerState === 'poweredOn' && !on.includes(machine.value))
          on.push(machine.value);
    });
    await center.task(vApp, 'PowerOnVApp_Task');
    assert.deepEqual(on, [db.value, app.value, web.value]);
    await center.until(() => summary().vAppState === 'started');
    await assert.rejects(center.call(vApp, 'PowerOnVApp_Task'), named('InvalidPowerState'));
    await assert.rejects(center.task(vApp, 'Destroy_Task'), named('InvalidPowerState'));
    await center.task(vApp, 'SuspendVApp_Task');
    await center.until(() => summary().suspended === true);
    await center.task(vApp, 'PowerOnVApp_Task');
    await center.task(vApp, 'PowerOffVApp_Task', { force: false });
    assert.equal(center.read(db, 'runtime')?.powerState, 'poweredOff');
    await center.task(vApp, 'unregisterVApp_Task');
    assert.deepEqual([center.all('VirtualApp').length, center.all('VirtualMachine').length], [0, 0]);
  });
});

test('pools know what their machines use and reserve', { timeout: 60_000 }, async () => {
  await withCenter(async (center) => {
    const [root] = center.all('ResourcePool');
    assert.ok(root);
    const capacity = Number(center.read(root, 'config')?.memoryAllocation.reservation);
    assert.ok(capacity > 0);
    assert.equal(Number(center.read(root, 'runtime')?.memory.maxUsage), capacity * 2 ** 20);
    const reserving = (amount: number) => ({
      ...plain(),
      memoryAllocation: data('ResourceAllocationInfo', { reservation: BigInt(amount), expandableReservation: false }),
    });
    const create = async (parent: ManagedObjectReference, name: string, spec: object) =>
      (await center.call(parent, 'CreateResourcePool', { name, spec })) as ManagedObjectReference<'ResourcePool'>;
    await assert.rejects(create(root, 'much', reserving(capacity + 1)), named('InsufficientMemoryResourcesFault'));
    const pool = await create(root, 'team', reserving(256));
    assert.equal(Number(center.read(root, 'runtime')?.memory.unreservedForPool), (capacity - 256) * 2 ** 20);
    await create(pool, 'part', reserving(200));
    await assert.rejects(create(pool, 'rest', reserving(57)), named('InsufficientMemoryResourcesFault'));
    await assert.rejects(
      center.call(root, 'CreateResourcePool', { name: 'team', spec: plain() }),
      named('DuplicateName'),
    );
    const one = await newMachine(center, pool, 'one');
    assert.deepEqual(center.read(pool, 'vm'), [one]);
    const memory = (center.read(pool, 'summary') as { configuredMemoryMB?: number }).configuredMemoryMB;
    assert.equal(memory, center.read(one, 'summary')?.config.memorySizeMB);
    const allocation = data('ResourceAllocationInfo', { reservation: 16n });
    const child = data('ResourceConfigSpec', {
      entity: one as never,
      cpuAllocation: plain().cpuAllocation,
      memoryAllocation: allocation,
    });
    await center.call(pool, 'UpdateChildResourceConfiguration', { spec: [child] });
    assert.equal(Number(center.read(one, 'config')?.memoryAllocation?.reservation), 16);
    await center.task(one, 'PowerOnVM_Task');
    await center.until(() => Number(center.read(pool, 'runtime')?.memory.reservationUsedForVm) === 16 * 2 ** 20);
    await center.call(root, 'MoveIntoResourcePool', { list: [one] });
    assert.deepEqual([center.read(pool, 'vm'), center.read(one, 'resourcePool')], [[], root]);
    await center.until(() => Number(center.read(pool, 'runtime')?.memory.reservationUsedForVm) === 0);
    await center.call(pool, 'MoveIntoResourcePool', { list: [one] });
    await center.task(pool, 'Destroy_Task');
    assert.deepEqual(center.read(root, 'vm'), [one]);
    assert.deepEqual(
      center.all('ResourcePool').map((ref) => center.read(ref, 'name')),
      ['Resources', 'part'],
    );
    await assert.rejects(center.task(root, 'Destroy_Task'), named('NotSupported'));
    await center.call(root, 'DestroyChildren');
    assert.equal(center.all('ResourcePool').length, 1);
  });
});
