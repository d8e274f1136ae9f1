import assert from 'node:assert/strict';
import { test } from 'node:test';
import { smallMachine } from '@hypostyle/host/testing';
import {
  type ManagedObjectReference,
  VimFault,
  type VirtualMachineConfigOption,
  type VirtualMachineConfigOptionDescriptor,
} from '@hypostyle/vim';
import { HostNetwork, TestCenter } from '../testing/center-fixture.ts';

type Reference<T extends string = string> = { readonly _typeName: string; readonly type: T; readonly value: string };
const searchIndex = { _typeName: 'ManagedObjectReference', type: 'SearchIndex', value: 'SearchIndex' } as const;
const named = (type: string) => (error: unknown) => error instanceof VimFault && error.type === type;

async function withCenter(work: (center: TestCenter) => Promise<void>): Promise<void> {
  const network = new HostNetwork();
  await network.add('local');
  await network.add('far');
  const center = await TestCenter.open(network, undefined, 'local');
  await center.addHost('far');
  await work(center);
  assert.deepEqual(center.defects, []);
  await center.close();
  await network.remove();
}

test('machines, hosts and folders are found by what clients know of them', { timeout: 60_000 }, async () => {
  await withCenter(async (center) => {
    const [datacenter] = center.all('Datacenter');
    const [pool] = center.all('ResourcePool');
    assert.ok(datacenter && pool);
    const vmFolder = center.read(datacenter, 'vmFolder') as Reference<'Folder'>;
    const folder = (await center.call(vmFolder, 'CreateFolder', { name: 'a/b' })) as Reference<'Folder'>;
    const { config } = smallMachine('one') as { config: object };
    const one = (await center.task(folder, 'CreateVM_Task', {
      config,
      pool,
    })) as ManagedObjectReference<'VirtualMachine'>;
    const find = (method: string, args: object) => center.call(searchIndex, method, args as Record<string, unknown>);
    const { uuid, instanceUuid } = center.read(one, 'config') ?? {};
    assert.deepEqual(await find('FindByInventoryPath', { inventoryPath: '/Datacenter/vm/a%2fb/one' }), one);
    assert.deepEqual(await find('FindByInventoryPath', { inventoryPath: 'Datacenter/vm/a%2fb/' }), folder);
    assert.equal(await find('FindByInventoryPath', { inventoryPath: '/Datacenter/vm/a/b' }), undefined);
    assert.deepEqual(await find('FindByUuid', { uuid, vmSearch: true }), one);
    assert.deepEqual(await find('FindByUuid', { uuid: instanceUuid, vmSearch: true, instanceUuid: true }), one);
    assert.deepEqual(
      await find('FindAllByUuid', { uuid: instanceUuid, vmSearch: true, instanceUuid: true, datacenter }),
      [one],
    );
    assert.deepEqual(await find('FindByDatastorePath', { datacenter, path: '[datastore1] one/one.vmx' }), one);
    assert.deepEqual(await find('FindChild', { entity: folder, name: 'one' }), one);
    const far = center.named('HostSystem', 'far');
    assert.deepEqual(await find('FindByInventoryPath', { inventoryPath: '/Datacenter/host/far/far' }), far);
    const hostUuid = center.read(far, 'summary')?.hardware?.uuid;
    assert.ok(
      ((await find('FindAllByUuid', { uuid: hostUuid, vmSearch: false })) as Reference[]).some(
        ({ value }) => value === far.value,
      ),
    );
    await center.task(one, 'Destroy_Task');
    assert.equal(await find('FindByUuid', { uuid, vmSearch: true }), undefined);
  });
});

test('a compute resource says what its machines may have', { timeout: 60_000 }, async () => {
  await withCenter(async (center) => {
    const [compute] = center.all('ComputeResource');
    assert.ok(compute);
    const browser = center.read(compute, 'environmentBrowser') as Reference;
    const versions = (await center.call(
      browser,
      'QueryConfigOptionDescriptor',
    )) as VirtualMachineConfigOptionDescriptor[];
    const key = versions.find(({ defaultConfigOption }) => defaultConfigOption)?.key;
    assert.equal(key, 'vmx-19');
    const ask = async (method: string, args: Record<string, unknown>) =>
      (await center.call(browser, method, args)) as VirtualMachineConfigOption;
    const all = await ask('QueryConfigOption', { key });
    assert.ok(all.guestOSDescriptor.length > 50);
    assert.equal(all.guestOSDescriptor[all.guestOSDefaultIndex]?.id, 'otherGuest64');
    assert.ok(all.defaultDevice?.some((device) => device._typeName === 'VirtualIDEController'));
    const spec = { _typeName: 'EnvironmentBrowserConfigOptionQuerySpec', key, guestId: ['debian11_64Guest'] };
    const [debian] = (await ask('QueryConfigOptionEx', { spec })).guestOSDescriptor;
    assert.deepEqual([debian?.family, debian?.recommendedEthernetCard], ['linuxGuest', 'VirtualVmxnet3']);
    await assert.rejects(ask('QueryConfigOption', { key: 'vmx-99' }), named('InvalidArgument'));
    const target = (await center.call(browser, 'QueryConfigTarget', {})) as {
      datastore: { name: string; datastore: { datastore: Reference } }[];
    };
    const [datastore] = target.datastore;
    assert.match(datastore?.datastore.datastore.value ?? '', /^datastore-\d+$/);
  });
});

test('a datastore is renamed on its host, and taken away once no machine uses it', { timeout: 60_000 }, async () => {
  await withCenter(async (center) => {
    const datastore = center.named('Datastore', 'datastore1');
    const [pool] = center.all('ResourcePool');
    const [datacenter] = center.all('Datacenter');
    assert.ok(pool && datacenter);
    const other = center.all('Datastore').find(({ value }) => value !== datastore.value);
    assert.ok(other);
    const taken = center.read(other, 'name') as string;
    await assert.rejects(center.call(datastore, 'RenameDatastore', { newName: taken }), named('DuplicateName'));
    await center.task(datastore, 'Rename_Task', { newName: 'fast' });
    assert.deepEqual([center.read(datastore, 'name'), center.read(datastore, 'summary')?.name], ['fast', 'fast']);
    const { config } = smallMachine('one', '[fast]') as { config: object };
    const vmFolder = center.read(datacenter, 'vmFolder') as Reference<'Folder'>;
    const one = (await center.task(vmFolder, 'CreateVM_Task', {
      config,
      pool,
    })) as ManagedObjectReference<'VirtualMachine'>;
    assert.equal(center.read(one, 'config')?.files.vmPathName, '[fast] one/one.vmx');
    await assert.rejects(center.task(datastore, 'Destroy_Task'), named('ResourceInUse'));
    await center.task(one, 'Destroy_Task');
    await center.task(datastore, 'Destroy_Task');
    assert.equal(center.center.registry.get(datastore), undefined);
  });
});
