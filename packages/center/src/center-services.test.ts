import assert from 'node:assert/strict';
import { test } from 'node:test';
import { smallMachine, vmFolder } from '@hypostyle/host/testing';
import { type ManagedObjectReference, MemoryPersistence, type ServiceContent, VimFault } from '@hypostyle/vim';
import { HostNetwork, TestCenter } from './testing/center-fixture.ts';

const instance = { _typeName: 'ManagedObjectReference', type: 'ServiceInstance', value: 'ServiceInstance' } as const;
const rootFolder = { _typeName: 'ManagedObjectReference', type: 'Folder', value: 'group-d1' } as const;
const named = (type: string) => (error: unknown) => error instanceof VimFault && error.type === type;
const content = async (center: TestCenter) =>
  (await center.call(instance, 'RetrieveServiceContent', { _this: instance })) as ServiceContent;

test('what the content of a center names is there', { timeout: 60_000 }, async () => {
  const center = await TestCenter.open(new HostNetwork());
  const services = await content(center);
  for (const ref of Object.values(services)) {
    if (typeof ref !== 'object' || !('type' in ref)) continue;
    assert.ok(center.center.registry.get(ref as ManagedObjectReference), `${ref.type} ${ref.value}`);
  }
  const { setting, authorizationManager, userDirectory } = services;
  assert.ok(setting && authorizationManager && userDirectory);
  const [name] = (await center.call(setting, 'QueryOptions', { name: 'VirtualCenter.InstanceName' })) as {
    value: string;
  }[];
  assert.ok(name?.value);
  const described = center.read(center.center.core.tasks.ref, 'description')?.methodInfo.map(({ key }) => key) ?? [];
  for (const kind of ['VirtualMachine.powerOn', 'Folder.addStandaloneHost', 'VirtualApp.powerOn', 'Datastore.rename'])
    assert.ok(described.includes(kind), kind);
  assert.equal(new Set(described).size, described.length);
  const roles = center.read(authorizationManager, 'roleList') ?? [];
  assert.ok(roles.some(({ name }) => name === 'VirtualMachinePowerUser' || /poweruser/i.test(name)));
  assert.deepEqual(
    center.center.authorizer.holds(
      center.center.sessions.openInternal({ userName: 'VSPHERE.LOCAL\\administrator' }).session,
      rootFolder,
      'Authorization.ModifyPermissions',
    ),
    true,
  );
  const group = { searchStr: 'Administrators', exactMatch: true, findUsers: false, findGroups: true };
  assert.equal(((await center.call(userDirectory, 'RetrieveUserGroups', group)) as unknown[]).length, 1);
  await center.close();
});

test('events and tasks are kept for the days that the settings say', { timeout: 60_000 }, async () => {
  const network = new HostNetwork();
  const daemon = await network.add('local');
  await daemon.task(vmFolder, 'CreateVM_Task', smallMachine('one'));
  const disk = new MemoryPersistence();
  const center = await TestCenter.open(network, disk, 'local');
  await center.task(center.named('VirtualMachine', 'one'), 'Rename_Task', { newName: 'two' });
  const { setting } = await content(center);
  assert.ok(setting);
  for (const [collection, what] of [
    ['events', 'event'],
    ['tasks', 'task'],
  ] as const) {
    const text = async (key: string) => JSON.stringify((await disk.get(collection, key)) ?? null);
    const [oldest, ...younger] = (await disk.list(collection)).map(({ key }) => key);
    assert.ok(oldest);
    const aged = (await text(oldest)).replaceAll(/20\d\d-\d\d-\d\dT/g, '2001-01-01T');
    await disk.transact([{ put: { collection, key: oldest, value: JSON.parse(aged) } }]);
    const changedValue = [{ _typeName: 'OptionValue', key: `${what}.maxAge`, value: 2 }];
    await center.call(setting, 'UpdateOptions', { changedValue });
    while ((await text(oldest)) !== 'null') await new Promise(setImmediate);
    for (const key of younger) assert.notEqual(await text(key), 'null', `${collection} ${key}`);
  }
  await center.close();
  await network.remove();
});

test('custom fields are on every entity, and go with it', { timeout: 60_000 }, async () => {
  const network = new HostNetwork();
  const daemon = await network.add('local');
  await daemon.task(vmFolder, 'CreateVM_Task', smallMachine('one'));
  const disk = new MemoryPersistence();
  const center = await TestCenter.open(network, disk, 'local');
  const { customFieldsManager } = await content(center);
  assert.ok(customFieldsManager);
  await center.call(customFieldsManager, 'AddCustomFieldDef', { name: 'owner' });
  const one = center.named('VirtualMachine', 'one');
  await center.call(one, 'setCustomValue', { key: 'owner', value: 'kim' });
  await center.call(rootFolder, 'setCustomValue', { key: 'owner', value: 'lee' });
  const values = (from: TestCenter, ref: ManagedObjectReference) =>
    ((from.center.registry.get(ref)?.value('customValue') ?? []) as { value: string }[]).map(({ value }) => value);
  assert.deepEqual(values(center, one), ['kim']);
  const inSummary = (from: TestCenter) =>
    from.read(one, 'summary')?.customValue?.map((each) => (each as unknown as { readonly value: string }).value);
  assert.deepEqual(inSummary(center), ['kim']);
  // What the host tells of it anew keeps what the center knows.
  await center.task(one, 'ReconfigVM_Task', { spec: { annotation: 'changed' } });
  assert.equal(center.read(one, 'summary')?.config.annotation, 'changed');
  assert.deepEqual(inSummary(center), ['kim']);
  await center.close();

  const again = await TestCenter.open(network, disk, 'local');
  assert.deepEqual(values(again, one), ['kim']);
  assert.deepEqual(values(again, rootFolder), ['lee']);
  assert.deepEqual(inSummary(again), ['kim']);
  assert.equal(again.read(one, 'availableField')?.[0]?.name, 'owner');
  await again.task(one, 'Destroy_Task');
  await again.close();
  assert.equal((await disk.list('custom-field-values')).length, 1);
  await network.remove();
});

test('an alarm tells of a host that is gone, and of it when it is back', { timeout: 60_000 }, async () => {
  const network = new HostNetwork();
  await network.add('far');
  const center = await TestCenter.open(network);
  await center.addHost('far');
  const far = center.named('HostSystem', 'far');
  const states = () => center.read(far, 'triggeredAlarmState') ?? [];
  assert.ok((center.read(far, 'declaredAlarmState') ?? []).length > 0);
  assert.deepEqual(states(), []);
  network.cut('far');
  await center.until(() => center.read(far, 'overallStatus') === 'red');
  assert.equal(states()[0]?.overallStatus, 'red');
  assert.equal(center.read(rootFolder, 'triggeredAlarmState')?.[0]?.entity.value, far.value);
  network.heal('far');
  await center.until(() => center.read(far, 'overallStatus') === 'green');
  assert.deepEqual(states(), []);
  assert.ok((await center.events()).includes('AlarmStatusChangedEvent'));
  await center.close();
  await network.remove();
});

test('permissions go with what they are on', { timeout: 60_000 }, async () => {
  const center = await TestCenter.open(new HostNetwork());
  const { authorizationManager, accountManager } = await content(center);
  assert.ok(authorizationManager && accountManager);
  const folder = (await center.call(rootFolder, 'CreateFolder', { name: 'team' })) as ManagedObjectReference<'Folder'>;
  await center.call(accountManager, 'CreateUser', {
    user: { _typeName: 'HostAccountSpec', id: 'kim', password: 'Very-secret-2' },
  });
  const permission = {
    _typeName: 'Permission',
    principal: 'VSPHERE.LOCAL\\kim',
    group: false,
    roleId: -2,
    propagate: true,
  };
  await center.call(authorizationManager, 'SetEntityPermissions', { entity: folder, permission: [permission] });
  const all = async () =>
    (await center.call(authorizationManager, 'RetrieveAllPermissions')) as { principal: string }[];
  assert.ok((await all()).some(({ principal }) => principal === 'VSPHERE.LOCAL\\kim'));
  await center.task(folder, 'Destroy_Task');
  while ((await all()).some(({ principal }) => principal === 'VSPHERE.LOCAL\\kim')) await new Promise(setImmediate);
  await assert.rejects(center.call(folder, 'CreateFolder', { name: 'x' }), named('ManagedObjectNotFound'));
  await center.close();
});
