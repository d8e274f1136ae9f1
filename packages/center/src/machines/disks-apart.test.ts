import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { newDisk, smallMachine } from '@hypostyle/host/testing';
import type { ManagedObjectReference, VimFault, VirtualDevice } from '@hypostyle/vim';
import { smallCenter } from '../testing/small-center.ts';

/** Machines with disks on two datastores of a host, through its center. */

type Machine = ManagedObjectReference<'VirtualMachine'>;
const named = (type: string) => (error: unknown) => (error as VimFault).type === type;

async function twoDatastores(t: TestContext) {
  const small = await smallCenter(t);
  const { center, network, daemon, vmFolder, pool } = small;
  const path = join(network.computers.get('local')?.directory ?? '', 'other');
  const system = { type: 'HostDatastoreSystem', value: 'ha-datastoresystem' };
  await daemon.call(system, 'CreateLocalDatastore', { name: 'other', path });
  await center.until(() => center.all('Datastore').length === 2);
  const other = center.named('Datastore', 'other');
  const [home] = center.all('Datastore').filter(({ value }) => value !== other.value);
  assert.ok(home);
  const { config } = smallMachine('web') as { config: { readonly deviceChange: readonly object[] } };
  const deviceChange = [...config.deviceChange, diskOn(-1, other)];
  const web = (await center.task(vmFolder, 'CreateVM_Task', { config: { ...config, deviceChange }, pool })) as Machine;
  const files = async () =>
    (await readdir(path, { recursive: true }))
      .filter((name) => /\.vmdk$/.test(name) && !name.endsWith('-flat.vmdk'))
      .sort();
  const places = (machine: Machine) =>
    ((center.read(machine, 'config')?.hardware.device ?? []) as readonly VirtualDevice[])
      .filter(({ _typeName }) => _typeName === 'VirtualDisk')
      .map(({ backing }) => {
        const { fileName, datastore } = backing as { fileName?: string; datastore?: ManagedObjectReference };
        return `${datastore?.value === other.value ? 'other' : 'home'} ${fileName}`;
      });
  return { ...small, web, other, home, files, places };
}

function diskOn(controllerKey: number, datastore: ManagedObjectReference) {
  const change = newDisk(controllerKey) as { readonly device: { readonly backing: object } };
  const { device } = change;
  return { ...change, device: { ...device, key: -7, backing: { ...device.backing, datastore } } };
}

test('a machine with disks on two datastores is made, changed, snapshot and taken away', {
  timeout: 120_000,
}, async (t) => {
  const { center, web, other, home, files, places } = await twoDatastores(t);
  const both = ['home [datastore1] web/web.vmdk', 'other [other] web/web_1.vmdk'];
  assert.deepEqual(places(web), both);
  const datastores = () =>
    center
      .read(web, 'datastore')
      ?.map(({ value }) => value)
      .sort();
  assert.deepEqual(datastores(), [home.value, other.value].sort());
  assert.deepEqual(center.read(other, 'vm'), [web]);
  await center.task(web, 'ReconfigVM_Task', { spec: { deviceChange: [diskOn(1000, other)] } });
  assert.deepEqual(places(web), [...both, 'other [other] web/web_2.vmdk']);
  await center.task(web, 'PowerOnVM_Task');
  await center.task(web, 'CreateSnapshot_Task', { name: 'base', memory: false, quiesce: false });
  assert.deepEqual(places(web), [
    'home [datastore1] web/web-000001.vmdk',
    'other [other] web/web_1-000001.vmdk',
    'other [other] web/web_2-000001.vmdk',
  ]);
  await center.task(web, 'RevertToCurrentSnapshot_Task');
  await center.task(web, 'RemoveAllSnapshots_Task');
  const [, , third] = ((center.read(web, 'config')?.hardware.device ?? []) as readonly VirtualDevice[]).filter(
    ({ _typeName }) => _typeName === 'VirtualDisk',
  );
  const removal = { operation: 'remove', fileOperation: 'destroy', device: third };
  await center.task(web, 'ReconfigVM_Task', { spec: { deviceChange: [removal] } });
  assert.equal(places(web).length, 2);
  assert.equal((await files()).length, 1);
  await center.task(web, 'Destroy_Task');
  assert.deepEqual(await files(), []);
  await center.until(() => (center.read(other, 'vm') ?? []).length === 0);
  assert.deepEqual(center.defects, []);
});

test('disks go between datastores one by one, running and off, and clones have theirs where they are told', {
  timeout: 120_000,
}, async (t) => {
  const { center, web, other, home, vmFolder, files, places } = await twoDatastores(t);
  const locator = (diskId: number, datastore: ManagedObjectReference, thinProvisioned?: boolean) => ({
    _typeName: 'VirtualMachineRelocateSpecDiskLocator',
    diskId,
    datastore,
    ...(thinProvisioned === undefined
      ? {}
      : {
          diskBackingInfo: {
            _typeName: 'VirtualDiskFlatVer2BackingInfo',
            fileName: '',
            diskMode: 'persistent',
            thinProvisioned,
          },
        }),
  });
  const move = (...disk: object[]) =>
    center.task(web, 'RelocateVM_Task', { spec: { _typeName: 'VirtualMachineRelocateSpec', disk } });
  await move(locator(2001, home));
  assert.deepEqual(places(web), ['home [datastore1] web/web.vmdk', 'home [datastore1] web/web_1.vmdk']);
  await center.until(() => (center.read(other, 'vm') ?? []).length === 0);
  await center.task(web, 'PowerOnVM_Task');
  await move(locator(2000, other), locator(2001, other, false));
  assert.deepEqual(places(web), ['other [other] web/web.vmdk', 'other [other] web/web_1.vmdk']);
  assert.equal(center.read(web, 'runtime')?.powerState, 'poweredOn');
  assert.equal(center.read(web, 'config')?.files.vmPathName, '[datastore1] web/web.vmx');
  await assert.rejects(move(locator(2009, other)), named('InvalidArgument'));
  const location = { _typeName: 'VirtualMachineRelocateSpec', disk: [locator(2001, home, true)], datastore: other };
  const copy = (await center.task(web, 'CloneVM_Task', {
    folder: vmFolder,
    name: 'copy',
    spec: { _typeName: 'VirtualMachineCloneSpec', location, template: false, powerOn: false },
  })) as Machine;
  assert.deepEqual(places(copy), ['other [other] copy/copy.vmdk', 'home [datastore1] copy/copy_1.vmdk']);
  // Unregistered and taken up again, it has its disks.
  await center.call(copy, 'UnregisterVM');
  const again = (await center.task(vmFolder, 'RegisterVM_Task', {
    path: '[other] copy/copy.vmx',
    asTemplate: false,
    pool: center.all('ResourcePool')[0],
  })) as Machine;
  assert.deepEqual(places(again), ['other [other] copy/copy.vmdk', 'home [datastore1] copy/copy_1.vmdk']);
  await center.task(again, 'PowerOnVM_Task');
  await center.task(again, 'PowerOffVM_Task');
  await center.task(again, 'Destroy_Task');
  assert.deepEqual(await files(), ['web/web.vmdk', 'web/web_1.vmdk']);
  await center.task(web, 'PowerOffVM_Task');
  await center.task(web, 'Destroy_Task');
  assert.deepEqual(await files(), []);
  assert.deepEqual(center.defects, []);
});
