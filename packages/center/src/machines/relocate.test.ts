import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import type { ManagedObjectReference, VimFault } from '@hypostyle/vim';
import { smallCenter } from '../testing/small-center.ts';

const named = (type: string) => (error: unknown) => (error as VimFault).type === type;

test('a center moves a machine to another datastore, folder and pool of its host', { timeout: 60_000 }, async (t) => {
  const { center, network, daemon, datacenter, vmFolder, pool: root, create } = await smallCenter(t);
  const folder = (await center.call(vmFolder, 'CreateFolder', { name: 'data' })) as ManagedObjectReference<'Folder'>;
  const web = await create('web');
  await daemon.call({ type: 'HostDatastoreSystem', value: 'ha-datastoresystem' }, 'CreateLocalDatastore', {
    name: 'fast',
    path: join(network.computers.get('local')?.directory ?? '', 'fast'),
  });
  await center.until(() => center.all('Datastore').length === 2);
  const fast = center.named('Datastore', 'fast');
  const relocate = (spec: object) =>
    center.task(web, 'RelocateVM_Task', { spec: { _typeName: 'VirtualMachineRelocateSpec', ...spec } });
  await relocate({ datastore: fast, folder });
  assert.deepEqual(center.read(web, 'datastore'), [fast]);
  assert.deepEqual(center.read(web, 'parent'), folder);
  assert.equal(center.read(web, 'config')?.files.vmPathName, '[fast] web/web.vmx');
  // While it runs: it is the same machine to the center, and goes on.
  const [first] = center.all('Datastore').filter(({ value }) => value !== fast.value);
  await center.task(web, 'PowerOnVM_Task');
  await relocate({ datastore: first });
  assert.deepEqual(center.read(web, 'datastore'), [first]);
  assert.equal(center.read(web, 'runtime')?.powerState, 'poweredOn');
  await center.task(web, 'PowerOffVM_Task');
  await relocate({ folder: vmFolder, pool: root });
  assert.deepEqual(center.read(web, 'parent'), vmFolder);
  await assert.rejects(relocate({ folder: datacenter }), named('ManagedObjectNotFound'));
  await assert.rejects(
    relocate({ host: { _typeName: 'ManagedObjectReference', type: 'HostSystem', value: 'host-999' } }),
    named('ManagedObjectNotFound'),
  );
  assert.deepEqual(center.defects, []);
});
