import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { smallMachine } from '@hypostyle/host/testing';
import {
  data,
  type ManagedObjectReference,
  MemoryPersistence,
  type OvfCreateImportSpecResult,
  type TaskInfo,
  VimFault,
  type VirtualAppImportSpec,
} from '@hypostyle/vim';
import { services } from '../services.ts';
import { HostNetwork, TestCenter } from '../testing/center-fixture.ts';

type Lease = ManagedObjectReference<'HttpNfcLease'>;
const named = (type: string) => (error: unknown) => (error as VimFault).type === type;

async function open(t: TestContext, network = new HostNetwork(), disk = new MemoryPersistence()) {
  if (network.daemons.size === 0) await network.add('local');
  const center = await TestCenter.open(network, disk, 'local');
  t.after(() => center.close());
  const [pool] = center.all('ResourcePool');
  assert.ok(pool);
  return { network, disk, center, pool };
}

const machine = (name: string, startOrder: number) => ({
  _typeName: 'VirtualMachineImportSpec',
  configSpec: (smallMachine(name) as { config: object }).config,
  entityConfig: data('VAppEntityConfigInfo', { tag: name, startOrder, startDelay: 7, waitingForGuest: true }),
});

const allocation = data('ResourceAllocationInfo', {});
const plain = data('ResourceConfigSpec', { cpuAllocation: allocation, memoryAllocation: allocation });
const serviceLevel = (name: string) =>
  `<Sla xmlns="urn:sla" xmlns:o="http://schemas.dmtf.org/ovf/envelope/1" o:required="false"><Gold of="${name}"/></Sla>`;
const vApp = (name: string, child: readonly object[]) => ({
  _typeName: 'VirtualAppImportSpec',
  name,
  vAppConfigSpec: data('VAppConfigSpec', {
    annotation: `the ${name}`,
    ovfSection: [
      data('VAppOvfSectionSpec', {
        operation: 'add',
        info: data('VAppOvfSectionInfo', { key: 0, namespace: 'urn:sla', type: 'Sla', contents: serviceLevel(name) }),
      }),
    ],
  }),
  resourcePoolSpec: plain,
  child,
});
const shop = () => vApp('shop', [machine('db', 2), vApp('front', [machine('web', 1)]), machine('cache', 1)]);

async function settled(center: TestCenter, lease: Lease): Promise<string | undefined> {
  await center.until(() => center.read(lease, 'state') !== 'initializing');
  return center.read(lease, 'state');
}

const imports = (center: TestCenter): TaskInfo[] =>
  center
    .all('Task')
    .map((ref) => center.read(ref, 'info') as TaskInfo)
    .filter(
      ({ descriptionId, parentTaskKey }) =>
        descriptionId === 'ResourcePool.ImportVAppLRO' && parentTaskKey === undefined,
    );
const names = (center: TestCenter, type: 'VirtualMachine' | 'VirtualApp') =>
  center
    .all(type)
    .map((ref) => center.read(ref, 'name'))
    .sort();

test('a vApp comes in whole, under one lease, with its order', { timeout: 60_000 }, async (t) => {
  const { network, center, pool } = await open(t);
  t.after(() => network.remove());
  const lease = (await center.call(pool, 'ImportVApp', { spec: shop() })) as Lease;
  assert.equal(await settled(center, lease), 'ready');
  const info = center.read(lease, 'info');
  const top = center.all('VirtualApp').find((ref) => center.read(ref, 'name') === 'shop');
  assert.ok(top);
  assert.deepEqual([info?.lease.value, info?.entity.value], [lease.value, top.value]);
  assert.deepEqual(info?.deviceUrl?.map(({ importKey }) => importKey.split('/').slice(0, -1).join('/')).sort(), [
    '/shop/cache',
    '/shop/db',
    '/shop/front/web',
  ]);
  assert.equal(new Set(info?.deviceUrl?.map(({ url }) => url)).size, 3);
  await center.call(lease, 'HttpNfcLeaseProgress', { percent: 40 });
  assert.equal(center.read(lease, 'transferProgress'), 40);
  assert.equal(imports(center)[0]?.state, 'running');
  assert.deepEqual(await center.call(lease, 'HttpNfcLeaseGetManifest'), []);
  await center.call(lease, 'HttpNfcLeaseComplete');
  assert.equal(center.read(lease, 'state'), 'done');
  await center.until(() => imports(center)[0]?.state !== 'running');
  assert.deepEqual([imports(center)[0]?.state, imports(center)[0]?.result as unknown], ['success', top]);
  const config = center.read(top, 'vAppConfig');
  assert.equal(config?.annotation, 'the shop');
  const order = config?.entityConfig?.map(({ key, startOrder, startDelay }) => [
    center.read(key as ManagedObjectReference<'VirtualMachine'>, 'name'),
    startOrder,
    startDelay,
  ]);
  assert.deepEqual(order?.filter(([name]) => name !== 'front').sort(), [
    ['cache', 1, 7],
    ['db', 2, 7],
  ]);
  assert.equal(order?.length, 3);
  await assert.rejects(center.call(lease, 'HttpNfcLeaseComplete'), named('InvalidState'));

  const given = (await center.call(top, 'ExportVApp')) as Lease;
  assert.equal(await settled(center, given), 'ready');
  const devices = center.read(given, 'info')?.deviceUrl ?? [];
  assert.equal(devices.length, 3);
  await assert.rejects(
    center
      .call(top, 'PowerOnVApp_Task')
      .then((task) => center.finished(task as never))
      .then(({ error }) => {
        if (error !== undefined) throw new VimFault(error.fault._typeName ?? '', error.fault as never, '');
      }),
    named('TaskInProgress'),
  );
  const ovfFiles = devices.map(({ key }, index) =>
    data('OvfFile', { deviceId: key, path: `d${index}.vmdk`, size: 7n as never }),
  );
  const cdp = data('OvfCreateDescriptorParams', { ovfFiles, name: 'shop two' });
  const made = (await center.call(services.ovfManager, 'CreateDescriptor', { obj: top, cdp })) as {
    ovfDescriptor: string;
  };
  await center.call(given, 'HttpNfcLeaseComplete');
  assert.equal(center.read(given, 'state'), 'done');
  for (const name of ['shop', 'front']) assert.match(made.ovfDescriptor, new RegExp(`<Gold of="${name}"/>`));
  const [datastore] = center.all('Datastore');
  const cisp = data('OvfCreateImportSpecParams', { locale: '', deploymentOption: '', entityName: '' });
  const again = (await center.call(services.ovfManager, 'CreateImportSpec', {
    ovfDescriptor: made.ovfDescriptor,
    resourcePool: pool,
    datastore,
    cisp,
  })) as OvfCreateImportSpecResult;
  assert.equal(again.error, undefined);
  const spec = again.importSpec as VirtualAppImportSpec;
  assert.equal(spec.name, 'shop two');
  assert.equal(spec.vAppConfigSpec.annotation, 'the shop');
  assert.deepEqual(
    spec.child?.map(({ entityConfig }) => [entityConfig?.startOrder, entityConfig?.startDelay]).sort(),
    config?.entityConfig?.map(({ startOrder, startDelay }) => [startOrder, startDelay]).sort(),
  );
  assert.deepEqual(again.fileItem?.map(({ path }) => path).sort(), ['d0.vmdk', 'd1.vmdk', 'd2.vmdk']);

  await center.until(() => center.center.registry.get(given) === undefined || center.read(given, 'state') === 'done');
  await center.task(top, 'Destroy_Task');
  assert.deepEqual([names(center, 'VirtualMachine'), names(center, 'VirtualApp')], [[], []]);
  assert.deepEqual(center.defects, []);
});

test('an import that is aborted, or fails in one machine, leaves nothing', { timeout: 60_000 }, async (t) => {
  const { network, center, pool } = await open(t);
  t.after(() => network.remove());
  const lease = (await center.call(pool, 'ImportVApp', { spec: shop() })) as Lease;
  assert.equal(await settled(center, lease), 'ready');
  await center.call(lease, 'HttpNfcLeaseAbort');
  assert.equal(center.read(lease, 'state'), 'error');
  await center.until(() => imports(center).at(-1)?.state === 'error');
  assert.deepEqual([names(center, 'VirtualMachine'), names(center, 'VirtualApp')], [[], []]);

  const twice = vApp('twice', [machine('a', 1), machine('a', 2)]);
  const second = await center.call(pool, 'ImportVApp', { spec: twice }).then(
    (ref) => settled(center, ref as Lease),
    () => 'error',
  );
  assert.equal(second, 'error');
  await center.until(() => imports(center).at(-1)?.state === 'error');
  assert.equal(imports(center).at(-1)?.error?.fault._typeName, 'DuplicateName');
  assert.deepEqual([names(center, 'VirtualMachine'), names(center, 'VirtualApp')], [[], []]);
  assert.deepEqual(network.daemons.get('local')?.machines(), []);
  assert.deepEqual(center.defects, []);
});

test('a center that was killed while a vApp came in takes all of it back', { timeout: 60_000 }, async (t) => {
  const { network, disk, center, pool } = await open(t);
  const lease = (await center.call(pool, 'ImportVApp', { spec: shop() })) as Lease;
  assert.equal(await settled(center, lease), 'ready');
  const [task] = imports(center);
  assert.ok(task);
  center.kill();
  const after = await open(t, network, disk);
  t.after(() => network.remove());
  const info = await after.center.finished(task.task);
  assert.match(info.error?.localizedMessage ?? '', /restarted during the import/);
  assert.deepEqual([names(after.center, 'VirtualMachine'), names(after.center, 'VirtualApp')], [[], []]);
  assert.deepEqual(network.daemons.get('local')?.machines(), []);
  assert.deepEqual(after.center.defects, []);
});
