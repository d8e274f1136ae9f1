import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { type TestContext, test } from 'node:test';
import { smallMachine } from '@hypostyle/host/testing';
import {
  type ManagedObjectReference,
  MemoryPersistence,
  type OvfCreateImportSpecResult,
  type OvfValidateHostResult,
  type TaskInfo,
  type VimFault,
} from '@hypostyle/vim';
import { services } from '../services.ts';
import { HostNetwork, TestCenter } from '../testing/center-fixture.ts';

type Lease = ManagedObjectReference<'HttpNfcLease'>;
const named = (type: string) => (error: unknown) => (error as VimFault).type === type;

/** A center with one host, and where machines are put. */
async function open(t: TestContext, network = new HostNetwork(), disk = new MemoryPersistence()) {
  if (network.daemons.size === 0) await network.add('local');
  const center = await TestCenter.open(network, disk, 'local');
  t.after(() => center.close());
  const [datacenter] = center.all('Datacenter');
  const [pool] = center.all('ResourcePool');
  assert.ok(datacenter && pool);
  const folder = center.read(datacenter, 'vmFolder') as ManagedObjectReference<'Folder'>;
  return { network, disk, center, pool, folder };
}

const importSpec = (name: string) => {
  const { config } = smallMachine(name) as { config: object };
  return { _typeName: 'VirtualMachineImportSpec', configSpec: config };
};

async function ready(center: TestCenter, lease: Lease): Promise<void> {
  await center.until(() => center.read(lease, 'state') !== 'initializing');
  assert.equal(center.read(lease, 'state'), 'ready');
}

const imports = (center: TestCenter): TaskInfo[] =>
  center
    .all('Task')
    .map((ref) => center.read(ref, 'info') as TaskInfo)
    .filter(({ descriptionId }) => descriptionId === 'ResourcePool.ImportVAppLRO');

test('a machine is imported into its folder by a lease of the center', { timeout: 60_000 }, async (t) => {
  const { network, center, pool, folder } = await open(t);
  t.after(() => network.remove());
  const lease = (await center.call(pool, 'ImportVApp', { spec: importSpec('web'), folder })) as Lease;
  await ready(center, lease);
  const [machine] = center.all('VirtualMachine');
  assert.ok(machine);
  const info = center.read(lease, 'info');
  assert.deepEqual([info?.lease.value, info?.entity.value], [lease.value, machine.value]);
  assert.match(info?.deviceUrl?.[0]?.url ?? '', /^https:\/\/\*\/nfc\//);
  assert.deepEqual(center.read(machine, 'parent'), folder);
  assert.equal(imports(center)[0]?.state, 'running');
  await assert.rejects(center.call(pool, 'ImportVApp', { spec: importSpec('web'), folder }), named('DuplicateName'));
  await center.call(lease, 'HttpNfcLeaseComplete');
  assert.equal(center.read(lease, 'state'), 'done');
  await center.until(() => imports(center).every(({ state }) => state === 'success' || state === 'error'));
  assert.deepEqual(
    imports(center).map(({ state, result }) => [state, result && (result as ManagedObjectReference).value]),
    [
      ['success', machine.value],
      ['error', undefined],
    ],
  );
  const given = (await center.call(machine, 'ExportVm')) as Lease;
  await ready(center, given);
  assert.equal(center.read(given, 'info')?.entity.value, machine.value);
  assert.equal(center.read(given, 'info')?.deviceUrl?.length, 1);
  const [device] = center.read(given, 'info')?.deviceUrl ?? [];
  const cdp = {
    _typeName: 'OvfCreateDescriptorParams',
    ovfFiles: [{ _typeName: 'OvfFile', deviceId: device?.key, path: 'web-disk1.vmdk', size: 70_000n }],
  };
  const made = await center.call(services.ovfManager, 'CreateDescriptor', { obj: machine, cdp });
  assert.match((made as { ovfDescriptor: string }).ovfDescriptor, /web-disk1\.vmdk/);
  await assert.rejects(center.task(machine, 'PowerOnVM_Task'), named('TaskInProgress'));
  await center.call(given, 'HttpNfcLeaseComplete');
  await center.task(machine, 'PowerOnVM_Task');

  const second = (await center.call(pool, 'ImportVApp', { spec: importSpec('gone'), folder })) as Lease;
  await ready(center, second);
  await center.call(second, 'HttpNfcLeaseAbort');
  assert.equal(center.read(second, 'state'), 'error');
  await center.until(() => imports(center).at(-1)?.state === 'error');
  assert.deepEqual(
    [...center.center.core.inventory.all('VirtualMachine')].map(({ name }) => name),
    ['web'],
  );
  assert.deepEqual(center.defects, []);
});

test('a center that was killed during an import takes it back', { timeout: 60_000 }, async (t) => {
  const { network, disk, center, pool, folder } = await open(t);
  const lease = (await center.call(pool, 'ImportVApp', { spec: importSpec('web'), folder })) as Lease;
  await ready(center, lease);
  const [task] = imports(center);
  assert.ok(task);
  center.kill();
  const after = await open(t, network, disk);
  t.after(() => network.remove());
  const info = await after.center.finished(task.task);
  assert.equal(info.state, 'error');
  assert.match(info.error?.localizedMessage ?? '', /restarted during the import/);
  assert.deepEqual([...after.center.center.core.inventory.all('VirtualMachine')], []);
  assert.deepEqual(network.daemons.get('local')?.machines(), []);
  const again = (await after.center.call(pool, 'ImportVApp', { spec: importSpec('web'), folder })) as Lease;
  await ready(after.center, again);
  await after.center.call(again, 'HttpNfcLeaseComplete');
  assert.deepEqual(after.center.defects, []);
});

test('a package is made into a specification with references of the center', { timeout: 60_000 }, async (t) => {
  const { network, center, pool } = await open(t);
  t.after(() => network.remove());
  const ovfDescriptor = await readFile(new URL('../../../services/fixtures/photon.ovf', import.meta.url), 'utf8');
  const [datastore] = center.all('Datastore');
  const [net] = center.all('Network');
  const [host] = center.all('HostSystem');
  const cisp = {
    _typeName: 'OvfCreateImportSpecParams',
    locale: '',
    deploymentOption: '',
    entityName: 'photon',
    networkMapping: [{ _typeName: 'OvfNetworkMapping', name: 'None', network: net }],
  };
  const made = (await center.call(services.ovfManager, 'CreateImportSpec', {
    ovfDescriptor,
    resourcePool: pool,
    datastore,
    cisp,
  })) as OvfCreateImportSpecResult;
  assert.equal(made.error, undefined);
  const { configSpec } = made.importSpec as unknown as {
    configSpec: { files: { vmPathName: string }; deviceChange: { device: { backing?: { network?: unknown } } }[] };
  };
  assert.equal(configSpec.files.vmPathName, '[datastore1]');
  const networks = configSpec.deviceChange.flatMap(({ device }) => device.backing?.network ?? []);
  assert.deepEqual(networks, [net]);
  const vhp = { _typeName: 'OvfValidateHostParams', locale: '', deploymentOption: '' };
  const checked = (await center.call(services.ovfManager, 'ValidateHost', {
    ovfDescriptor,
    host,
    vhp,
  })) as OvfValidateHostResult;
  assert.deepEqual([checked.error, checked.downloadSize], [undefined, 507_132_416]);
});

test('a lease that its host forgets leaves no filter behind on that host', { timeout: 60_000 }, async (t) => {
  const { network, center, pool, folder } = await open(t);
  t.after(() => network.remove());
  const { registry } = network.daemons.get('local')!.host;
  const filters = () => [...registry.all('PropertyFilter')].length;
  const before = filters();
  const lease = (await center.call(pool, 'ImportVApp', { spec: importSpec('web'), folder })) as Lease;
  await ready(center, lease);
  await center.call(lease, 'HttpNfcLeaseComplete');
  await center.until(() => imports(center)[0]?.state === 'success');
  assert.ok(filters() > before, 'the lease is followed');
  registry.commit((draft) => {
    for (const { ref } of registry.all('HttpNfcLease')) draft.remove(ref);
  });
  await center.until(() => center.center.registry.get(lease) === undefined);
  while (filters() > before) await new Promise(setImmediate);
});
