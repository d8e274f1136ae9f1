import assert from 'node:assert/strict';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { HostDatastoreBrowserSearchResults, ManagedObjectReference, VimFault } from '@hypostyle/vim';
import { services } from '../services.ts';
import { HostNetwork, TestCenter } from '../testing/center-fixture.ts';

const named = (type: string) => (error: unknown) => (error as VimFault).type === type;
const { fileManager, virtualDiskManager } = services;

/** A center with the host of its process and another one, each with a datastore of its own. */
async function twoHosts(t: TestContext) {
  const network = new HostNetwork();
  await network.add('local');
  await network.add('far');
  const center = await TestCenter.open(network, undefined, 'local');
  t.after(async () => {
    await center.close();
    await network.remove();
  });
  await center.addHost('far');
  const names = () =>
    center
      .all('Datastore')
      .map((ref) => center.read(ref, 'name'))
      .sort();
  await center.until(() => names().includes('datastore1 (1)'));
  const [datacenter] = center.all('Datacenter');
  assert.ok(datacenter);
  const directory = (name: string) => network.computers.get(name)?.datastore ?? '';
  return { network, center, datacenter, names, directory };
}

test('datastores of one name are told apart; files are found on the host that has them', {
  timeout: 60_000,
}, async (t) => {
  const { network, center, datacenter, names, directory } = await twoHosts(t);
  assert.deepEqual(names(), ['datastore1', 'datastore1 (1)']);
  const far = network.daemons.get('far');
  const [there] = [...(far?.host.registry.all('Datastore') ?? [])];
  assert.equal(there?.value('name'), 'datastore1 (1)');
  const renamed = async () => (await center.events()).filter((type) => type === 'DatastoreRenamedOnHostEvent').length;
  // It is told after the name is seen.
  while ((await renamed()) === 0) await new Promise(setImmediate);
  assert.equal(await renamed(), 1);

  await center.call(fileManager, 'MakeDirectory', {
    name: '[datastore1 (1)] iso/new',
    datacenter,
    createParentDirectories: true,
  });
  assert.deepEqual(await readdir(join(directory('far'), 'iso')), ['new']);
  await mkdir(join(directory('local'), 'box'));
  await writeFile(join(directory('local'), 'box', 'a.iso'), 'x');
  const copy = {
    sourceName: '[datastore1] box/a.iso',
    sourceDatacenter: datacenter,
    destinationName: '[datastore1] box/b.iso',
  };
  const task = (await center.call(fileManager, 'CopyDatastoreFile_Task', copy)) as ManagedObjectReference<'Task'>;
  const info = await center.finished(task);
  assert.deepEqual(
    [info.state, info.entity, info.name],
    ['success', center.named('Datastore', 'datastore1'), 'CopyDatastoreFile_Task'],
  );
  await center.task(fileManager, 'DeleteDatastoreFile_Task', {
    name: 'https://center/folder/box/a.iso?dcPath=Datacenter&dsName=datastore1',
  });
  assert.deepEqual(await readdir(join(directory('local'), 'box')), ['b.iso']);
  const across = {
    sourceName: '[datastore1] box/b.iso',
    sourceDatacenter: datacenter,
    destinationName: '[datastore1 (1)] b.iso',
  };
  await center.task(fileManager, 'MoveDatastoreFile_Task', across);
  assert.deepEqual(await readdir(join(directory('local'), 'box')), []);
  const missing = { name: '[nowhere] a', datacenter };
  await assert.rejects(center.call(fileManager, 'DeleteDatastoreFile_Task', missing), named('InvalidDatastore'));
  await assert.rejects(
    center.task(fileManager, 'DeleteDatastoreFile_Task', { name: '[datastore1] none', datacenter }),
    named('FileNotFound'),
  );
  await assert.rejects(
    center.call(virtualDiskManager, 'QueryVirtualDiskUuid', { name: '[datastore1] none.vmdk', datacenter }),
    named('FileNotFound'),
  );
  network.cut('far');
  await center.until(() => center.state(center.named('HostSystem', 'far')) === 'notResponding');
  const away = { name: '[datastore1 (1)] iso/new', datacenter };
  await assert.rejects(center.call(fileManager, 'DeleteDatastoreFile_Task', away), named('HostNotConnected'));
});

test('every browser of the center searches: of datastores, hosts, machines and compute resources', {
  timeout: 60_000,
}, async (t) => {
  const { center, directory } = await twoHosts(t);
  await writeFile(join(directory('far'), 'seen.iso'), 'x');
  const host = center.named('HostSystem', 'far');
  const compute = center.read(host, 'parent') as ManagedObjectReference<'ComputeResource'>;
  const environment = center.read(compute, 'environmentBrowser');
  assert.ok(environment);
  const browsers = [
    center.read(center.named('Datastore', 'datastore1 (1)'), 'browser'),
    center.read(host, 'datastoreBrowser'),
    center.read(environment, 'datastoreBrowser'),
  ];
  for (const browser of browsers) {
    assert.ok(browser);
    const found = (await center.task(browser, 'SearchDatastore_Task', {
      datastorePath: '[datastore1 (1)]',
      searchSpec: { _typeName: 'HostDatastoreBrowserSearchSpec', matchPattern: ['*.iso'] },
    })) as HostDatastoreBrowserSearchResults;
    assert.deepEqual(
      found.file?.map(({ path }) => path),
      ['seen.iso'],
    );
    assert.deepEqual(found.datastore, center.named('Datastore', 'datastore1 (1)'));
    const [own] = center.read(browser, 'datastore') ?? [];
    assert.equal(own?.value, center.named('Datastore', 'datastore1 (1)').value);
  }
  const target = (await center.call(environment, 'QueryConfigTarget', { host })) as {
    datastore: { datastore: { datastore: unknown } }[];
  };
  assert.deepEqual(
    target.datastore.map((one) => one.datastore.datastore),
    [center.named('Datastore', 'datastore1 (1)')],
  );
});
