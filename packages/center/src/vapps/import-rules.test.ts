import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { smallMachine } from '@hypostyle/host/testing';
import {
  type ClusterConfigInfoEx,
  type ClusterRuleInfo,
  data,
  type ManagedObjectReference,
  type OvfCreateImportSpecResult,
} from '@hypostyle/vim';
import { services } from '../services.ts';
import { connectSpec, HostNetwork, TestCenter } from '../testing/center-fixture.ts';

type Lease = ManagedObjectReference<'HttpNfcLease'>;
type Machine = ManagedObjectReference<'VirtualMachine'>;
type Cluster = ManagedObjectReference<'ClusterComputeResource'>;

const namespace = 'http://schemas.dmtf.org/ovf/envelope/2';
const sections = (...all: readonly (readonly [type: string, attributes: string])[]) =>
  all.map(([type, attributes], key) =>
    data('VAppOvfSectionSpec', {
      operation: 'add',
      info: data('VAppOvfSectionInfo', {
        key,
        namespace,
        type,
        atEnvelopeLevel: type === 'PlacementGroupSection',
        contents: `<o:${type} xmlns:o="${namespace}" ${attributes}><o:Info/></o:${type}>`,
      }),
    }),
  );

function machine(name: string, group: string) {
  const { config } = smallMachine(name, '[shared]') as { config: object };
  const vAppConfig = data('VmConfigSpec', { ovfSection: sections(['PlacementSection', `o:group="${group}"`]) });
  return { _typeName: 'VirtualMachineImportSpec', configSpec: { ...config, vAppConfig } };
}

const allocation = data('ResourceAllocationInfo', {});
const shop = {
  _typeName: 'VirtualAppImportSpec',
  name: 'shop',
  vAppConfigSpec: data('VAppConfigSpec', {
    ovfSection: sections(
      ['PlacementGroupSection', 'o:id="front" o:policy="availability"'],
      ['PlacementGroupSection', 'o:id="back" o:policy="affinity"'],
    ),
  }),
  resourcePoolSpec: data('ResourceConfigSpec', { cpuAllocation: allocation, memoryAllocation: allocation }),
  child: [machine('web-1', 'front'), machine('db', 'back'), machine('web-2', 'front'), machine('cache', 'back')],
};

async function clusterOfTwo(t: TestContext) {
  const network = new HostNetwork();
  const shared = await mkdtemp(join(tmpdir(), 'hypostyle-shared-'));
  for (const name of ['left', 'right']) {
    const daemon = await network.add(name);
    const [system] = daemon.host.registry.all('HostDatastoreSystem');
    assert.ok(system);
    await daemon.call(system.ref, 'CreateLocalDatastore', { name: 'shared', path: shared });
  }
  const center = await TestCenter.open(network);
  t.after(async () => {
    await center.close();
    await network.remove();
    await rm(shared, { recursive: true, force: true });
  });
  const spec = { _typeName: 'ClusterConfigSpecEx' };
  const cluster = (await center.call(center.hostFolder(), 'CreateClusterEx', { name: 'c', spec })) as Cluster;
  for (const name of ['left', 'right'])
    await center.task(cluster, 'AddHost_Task', { spec: connectSpec(name), asConnected: true });
  const pool = center.read(cluster, 'resourcePool') as ManagedObjectReference<'ResourcePool'>;
  const rules = () => (center.read(cluster, 'configurationEx') as ClusterConfigInfoEx).rule ?? [];
  const imported = async () => {
    const lease = (await center.call(pool, 'ImportVApp', { spec: shop })) as Lease;
    await center.until(() => center.read(lease, 'state') !== 'initializing');
    await center.call(lease, 'HttpNfcLeaseComplete');
    await center.until(() => center.read(lease, 'state') === 'done');
  };
  return { center, cluster, pool, rules, imported };
}

const machinesOf = (rule: ClusterRuleInfo | undefined) => (rule as { vm?: readonly Machine[] } | undefined)?.vm ?? [];

test('placement groups become rules of the cluster, and the machines come where the rules want them', {
  timeout: 60_000,
}, async (t) => {
  const { center, cluster, rules, imported } = await clusterOfTwo(t);
  await imported();
  const shown = (rule: ClusterRuleInfo) => [
    rule._typeName,
    rule.name,
    rule.enabled,
    rule.userCreated,
    machinesOf(rule).map((ref) => center.read(ref, 'name')),
  ];
  assert.deepEqual(rules().map(shown), [
    ['ClusterAntiAffinityRuleSpec', 'shop front', true, false, ['web-1', 'web-2']],
    ['ClusterAffinityRuleSpec', 'shop back', true, false, ['db', 'cache']],
  ]);
  const hostOf = (name: string) => center.read(center.named('VirtualMachine', name), 'runtime')?.host?.value;
  assert.notEqual(hostOf('web-1'), hostOf('web-2'));
  assert.equal(hostOf('db'), hostOf('cache'));
  assert.ok((await center.events()).includes('ClusterReconfiguredEvent'));
  const web = center.named('VirtualMachine', 'web-1');
  const found = (await center.call(cluster, 'FindRulesForVm', { vm: web })) as ClusterRuleInfo[];
  assert.deepEqual(
    found.map(({ name }) => name),
    ['shop front'],
  );

  await center.task(web, 'Destroy_Task');
  await center.until(() => rules().length === 1);
  assert.equal(rules()[0]?.name, 'shop back', 'a rule between one machine and nobody goes');
  const [vApp] = center.all('VirtualApp');
  assert.ok(vApp);
  await center.task(vApp, 'Destroy_Task');
  await center.until(() => rules().length === 0);
  assert.deepEqual(center.defects, []);
});

test('a rule that somebody made keeps its other machines when one goes', { timeout: 60_000 }, async (t) => {
  const { center, cluster, rules, imported } = await clusterOfTwo(t);
  await imported();
  const vm = ['web-1', 'db', 'cache'].map((name) => center.named('VirtualMachine', name));
  const info = data('ClusterAntiAffinityRuleSpec', { name: 'mine', enabled: true, vm });
  const rulesSpec = [data('ClusterRuleSpec', { operation: 'add', info })];
  const spec = data('ClusterConfigSpecEx', { rulesSpec });
  await center.task(cluster, 'ReconfigureComputeResource_Task', { spec, modify: true });
  await center.task(center.named('VirtualMachine', 'db'), 'Destroy_Task');
  const mine = () => rules().find(({ name }) => name === 'mine');
  await center.until(() => machinesOf(mine()).length === 2);
  assert.deepEqual(
    machinesOf(mine()).map((ref) => center.read(ref, 'name')),
    ['web-1', 'cache'],
  );
  const nobody = { ...info, vm: [{ type: 'VirtualMachine', value: 'vm-none' }] };
  const wrong = data('ClusterConfigSpecEx', {
    rulesSpec: [data('ClusterRuleSpec', { operation: 'add', info: nobody as never })],
  });
  await assert.rejects(
    center.task(cluster, 'ReconfigureComputeResource_Task', { spec: wrong, modify: true }),
    /there is no machine vm-none/,
  );
  assert.deepEqual(center.defects, []);
});

test('rules take the right to edit the cluster: without it an import makes none, and says so before', {
  timeout: 60_000,
}, async (t) => {
  const { center, pool, rules } = await clusterOfTwo(t);
  const content = center.read({ type: 'ServiceInstance', value: 'ServiceInstance' }, 'content');
  const { accountManager } = content as unknown as { accountManager: ManagedObjectReference };
  const manager = content?.authorizationManager as ManagedObjectReference<'AuthorizationManager'>;
  const privIds = (center.read(manager, 'privilegeList') ?? [])
    .map(({ privId }) => privId)
    .filter((one) => one !== 'Host.Inventory.EditCluster');
  const roleId = await center.call(manager, 'AddAuthorizationRole', { name: 'narrow', privIds });
  const user = { _typeName: 'HostAccountSpec', id: 'ann@vsphere.local', password: 'Very-secret-2' };
  await center.call(accountManager, 'CreateUser', { user });
  const permission = { _typeName: 'Permission', principal: user.id, group: false, roleId, propagate: true };
  await center.call(manager, 'SetEntityPermissions', { entity: services.rootFolder, permission: [permission] });
  const { session } = center.center.sessions.openInternal({ userName: 'VSPHERE.LOCAL\\ann' });

  const url = new URL('../../../ovf/fixtures/descriptors/ImportOvf2014__soft-aag-2-vm-vapp.ovf', import.meta.url);
  const ovfDescriptor = readFileSync(url, 'utf8').replace('<Name>Test System</Name>', '<Name>First</Name>');
  const cisp = data('OvfCreateImportSpecParams', { locale: '', deploymentOption: '', entityName: '' });
  const args = { ovfDescriptor, resourcePool: pool, datastore: center.named('Datastore', 'shared'), cisp };
  const warnings = (result: unknown) =>
    ((result as OvfCreateImportSpecResult).warning ?? []).map(({ localizedMessage }) => localizedMessage ?? '').join();
  const narrow = warnings(await center.callAs(session, services.ovfManager, 'CreateImportSpec', args));
  assert.match(narrow, /'section4' \(availability\).*not followed: rules.*Host\.Inventory\.EditCluster/);
  assert.doesNotMatch(warnings(await center.call(services.ovfManager, 'CreateImportSpec', args)), /placement/);

  const lease = (await center.callAs(session, pool, 'ImportVApp', { spec: shop })) as Lease;
  await center.until(() => center.read(lease, 'state') !== 'initializing');
  await center.callAs(session, lease, 'HttpNfcLeaseComplete');
  await center.until(() => center.read(lease, 'state') === 'done');
  assert.deepEqual(rules(), []);
  assert.equal(center.all('VirtualMachine').length, 4);
});
