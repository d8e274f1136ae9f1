import assert from 'node:assert/strict';
import { test } from 'node:test';
import { smallMachine } from '@hypostyle/host/testing';
import { type ClusterConfigInfoEx, type ManagedObjectReference, MemoryPersistence, VimFault } from '@hypostyle/vim';
import { HostNetwork, TestCenter } from '../testing/center-fixture.ts';

const rootFolder = { _typeName: 'ManagedObjectReference', type: 'Folder', value: 'group-d1' } as const;
const named = (type: string) => (error: unknown) => error instanceof VimFault && error.type === type;

type Folder = ManagedObjectReference<'Folder'>;

async function newFolder(center: TestCenter, parent: ManagedObjectReference, name: string): Promise<Folder> {
  return (await center.call(parent, 'CreateFolder', { name })) as Folder;
}

function vmFolderOf(center: TestCenter): Folder {
  const [datacenter] = center.all('Datacenter');
  assert.ok(datacenter);
  return center.read(datacenter, 'vmFolder') as Folder;
}

test('folders, datacenters and clusters are made, renamed, moved and destroyed, and are there after a restart', async () => {
  const network = new HostNetwork();
  const disk = new MemoryPersistence();
  const center = await TestCenter.open(network, disk);
  const vmFolder = vmFolderOf(center);
  const one = await newFolder(center, vmFolder, 'one');
  const two = await newFolder(center, one, 'a/b');
  assert.match(two.value, /^group-v\d+$/);
  assert.equal(center.read(two, 'name'), 'a%2fb');
  await assert.rejects(newFolder(center, vmFolder, 'one'), named('DuplicateName'));
  await assert.rejects(newFolder(center, vmFolder, ''), named('InvalidName'));
  await assert.rejects(center.call(vmFolder, 'CreateDatacenter', { name: 'dc' }), named('NotSupported'));
  await assert.rejects(
    center
      .task(one, 'MoveIntoFolder_Task', { list: [two] })
      .then(() => center.task(two, 'MoveIntoFolder_Task', { list: [one] })),
    named('InvalidFolder'),
  );
  await center.task(vmFolder, 'MoveIntoFolder_Task', { list: [two] });
  assert.deepEqual(center.read(two, 'parent'), vmFolder);
  assert.deepEqual(center.read(one, 'childEntity'), []);
  await center.task(two, 'Rename_Task', { newName: 'second' });
  await assert.rejects(center.task(two, 'Rename_Task', { newName: 'one' }), named('DuplicateName'));
  await assert.rejects(center.task(vmFolder, 'Rename_Task', { newName: 'x' }), named('NotSupported'));
  await assert.rejects(center.task(vmFolder, 'Destroy_Task'), named('NotSupported'));

  const away = await newFolder(center, rootFolder, 'away');
  const dc = (await center.call(away, 'CreateDatacenter', { name: 'dc' })) as ManagedObjectReference<'Datacenter'>;
  const hosts = center.read(dc, 'hostFolder') as Folder;
  const cluster = (await center.call(hosts, 'CreateClusterEx', {
    name: 'c1',
    spec: { _typeName: 'ClusterConfigSpecEx' },
  })) as ManagedObjectReference<'ClusterComputeResource'>;
  assert.equal(center.read(cluster, 'summary')?.numHosts, 0);
  await assert.rejects(center.task(hosts, 'MoveIntoFolder_Task', { list: [two] }), named('InvalidFolder'));
  await center.task(dc, 'Rename_Task', { newName: 'dc2' });
  await center.task(rootFolder, 'MoveIntoFolder_Task', { list: [dc] });
  const index = { _typeName: 'ManagedObjectReference', type: 'SearchIndex', value: 'SearchIndex' };
  assert.deepEqual(await center.call(index, 'FindByInventoryPath', { inventoryPath: '/dc2/host/c1' }), cluster);
  await center.close();

  const again = await TestCenter.open(network, disk);
  assert.deepEqual(again.read(cluster, 'name'), 'c1');
  assert.deepEqual(again.read(dc, 'parent'), rootFolder);
  await again.task(dc, 'Destroy_Task');
  await assert.rejects(again.call(cluster, 'FindRulesForVm', {}), named('ManagedObjectNotFound'));
  assert.equal(again.all('ClusterComputeResource').length, 0);
  assert.equal(again.all('EnvironmentBrowser').length, 0);
  assert.deepEqual(await again.events().then((all) => all.filter((name) => /Datacenter|Cluster/.test(name))), [
    'DatacenterCreatedEvent',
    'ClusterCreatedEvent',
    'DatacenterRenamedEvent',
    'ClusterDestroyedEvent',
  ]);
  assert.deepEqual(again.defects, []);
  await again.close();
});

test('a cluster keeps what it is told of availability, balancing, groups and rules', async () => {
  const center = await TestCenter.open(new HostNetwork());
  const hosts = center.hostFolder();
  const cluster = (await center.call(hosts, 'CreateClusterEx', {
    name: 'c1',
    spec: { _typeName: 'ClusterConfigSpecEx', drsConfig: { _typeName: 'ClusterDrsConfigInfo', enabled: true } },
  })) as ManagedObjectReference<'ClusterComputeResource'>;
  const configuration = () => center.read(cluster, 'configurationEx') as ClusterConfigInfoEx;
  assert.equal(configuration().drsConfig.enabled, true);
  assert.equal(configuration().drsConfig.vmotionRate, 3);
  assert.equal(configuration().vsanConfigInfo?.enabled, false);
  const reconfigure = (spec: object) =>
    center.task(cluster, 'ReconfigureComputeResource_Task', {
      spec: { _typeName: 'ClusterConfigSpecEx', ...spec },
      modify: true,
    });
  const vsanConfig = { _typeName: 'VsanClusterConfigInfo', enabled: true };
  await assert.rejects(reconfigure({ vsanConfig }), /There is no vSAN/);
  const group = { _typeName: 'ClusterHostGroup', name: 'left' };
  await reconfigure({
    dasConfig: { _typeName: 'ClusterDasConfigInfo', enabled: true },
    groupSpec: [{ _typeName: 'ClusterGroupSpec', operation: 'add', info: group }],
    rulesSpec: [
      {
        _typeName: 'ClusterRuleSpec',
        operation: 'add',
        info: { _typeName: 'ClusterAntiAffinityRuleSpec', name: 'apart', enabled: true, vm: [] },
      },
    ],
  });
  const { rule = [], group: groups = [], dasConfig } = configuration();
  assert.deepEqual([dasConfig.enabled, rule[0]?.name, rule[0]?.key, groups[0]?.name], [true, 'apart', 1, 'left']);
  assert.equal(configuration().drsConfig.enabled, true);
  assert.deepEqual(center.read(cluster, 'configuration')?.rule?.[0]?.name, 'apart');
  const again = { groupSpec: [{ _typeName: 'ClusterGroupSpec', operation: 'add', info: group }] };
  await assert.rejects(reconfigure(again), named('InvalidArgument'));
  await reconfigure({ rulesSpec: [{ _typeName: 'ClusterRuleSpec', operation: 'remove', removeKey: 1 }] });
  assert.equal(configuration().rule, undefined);
  await assert.rejects(center.call(cluster, 'RefreshRecommendation'), named('NotSupported'));
  const events = await center.events();
  assert.ok(events.includes('DasEnabledEvent') && events.includes('ClusterReconfiguredEvent'));
  await center.close();
});

test('a folder goes with the machines in it, and only when they are off; unregistered, their files stay', async () => {
  const network = new HostNetwork();
  await network.add('local');
  const center = await TestCenter.open(network, undefined, 'local');
  const vmFolder = vmFolderOf(center);
  const folder = await newFolder(center, vmFolder, 'team');
  const [pool] = center.all('ResourcePool');
  const make = async (name: string, into: Folder) => {
    const { config } = smallMachine(name) as { config: object };
    return (await center.task(into, 'CreateVM_Task', { config, pool })) as ManagedObjectReference<'VirtualMachine'>;
  };
  const vm = await make('one', folder);
  await center.task(vm, 'PowerOnVM_Task');
  await assert.rejects(center.task(folder, 'Destroy_Task'), named('InvalidPowerState'));
  await center.task(vm, 'PowerOffVM_Task');
  await center.task(folder, 'UnregisterAndDestroy_Task');
  assert.equal(center.all('VirtualMachine').length, 0);
  const again = await newFolder(center, vmFolder, 'team');
  await center.task(again, 'RegisterVM_Task', { path: '[datastore1] one/one.vmx', asTemplate: false, pool });
  await center.task(again, 'Destroy_Task');
  assert.equal(center.all('VirtualMachine').length, 0);
  await assert.rejects(
    center.task(vmFolder, 'RegisterVM_Task', { path: '[datastore1] one/one.vmx', asTemplate: false, pool }),
    named('FileNotFound'),
  );
  assert.deepEqual(center.defects, []);
  await center.close();
  await network.remove();
});
