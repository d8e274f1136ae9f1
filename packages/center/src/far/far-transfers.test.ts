import assert from 'node:assert/strict';
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { VimFault } from '@hypostyle/vim';
import { services } from '../services.ts';
import { twoHosts } from '../testing/two-hosts.ts';

const named = (type: string) => (error: unknown) => (error as VimFault).type === type;

test('files, folders and disks are copied and moved between datastores of different hosts', {
  timeout: 120_000,
}, async (t) => {
  const { center, here, there, datastore, farDatastore, create, writeDisk, readDisk, filesOf } = await twoHosts(t);
  const [near, far] = [datastore, farDatastore].map((ref) => center.read(ref, 'name'));
  const [datacenter] = center.all('Datacenter');
  const both = { sourceDatacenter: datacenter };
  await mkdir(join(here.datastore, 'iso/deep'), { recursive: true });
  await writeFile(join(here.datastore, 'iso/one.iso'), 'the image');
  await writeFile(join(here.datastore, 'iso/deep/two.iso'), 'another');
  const copy = (sourceName: string, destinationName: string, force = false, method = 'CopyDatastoreFile_Task') =>
    center.task(services.fileManager, method, { ...both, sourceName, destinationName, force });
  await copy(`[${near}] iso`, `[${far}] library`);
  assert.equal(await readFile(join(there.datastore, 'library/deep/two.iso'), 'utf8'), 'another');
  await assert.rejects(copy(`[${near}] iso/one.iso`, `[${far}] library/one.iso`), named('FileAlreadyExists'));
  await assert.rejects(copy(`[${near}] iso/no.iso`, `[${far}] library/no.iso`), named('FileNotFound'));
  await assert.rejects(copy(`[${near}] iso/one.iso`, `[${far}] nowhere/one.iso`), named('FileNotFound'));
  await writeFile(join(here.datastore, 'iso/one.iso'), 'the newer image');
  await copy(`[${near}] iso/one.iso`, `[${far}] library/one.iso`, true, 'MoveDatastoreFile_Task');
  assert.equal(await readFile(join(there.datastore, 'library/one.iso'), 'utf8'), 'the newer image');
  await assert.rejects(stat(join(here.datastore, 'iso/one.iso')));

  const web = await create('web');
  const bytes = await writeDisk(here, 'web/web.vmdk');
  const disks = services.virtualDiskManager;
  const sourceName = `[${near}] web/web.vmdk`;
  await center.task(disks, 'CopyVirtualDisk_Task', { ...both, sourceName, destName: `[${far}] library/copy.vmdk` });
  assert.deepEqual(await readDisk(there, 'library/copy.vmdk'), bytes);
  const destSpec = { _typeName: 'VirtualDiskSpec', diskType: 'eagerZeroedThick', adapterType: 'ide' };
  await center.task(disks, 'CopyVirtualDisk_Task', {
    ...both,
    sourceName,
    destName: `[${far}] library/full.vmdk`,
    destSpec,
  });
  const { size, blocks } = await stat(join(there.datastore, 'library/full-flat.vmdk'));
  assert.ok(blocks * 512 >= size);
  assert.match(await readFile(join(there.datastore, 'library/full.vmdk'), 'utf8'), /adapterType = "ide"/);
  // A machine has it.
  await center.task(web, 'PowerOnVM_Task', {});
  await assert.rejects(
    center.task(disks, 'CopyVirtualDisk_Task', { ...both, sourceName, destName: `[${far}] library/no.vmdk` }),
    named('FileLocked'),
  );
  await center.task(web, 'PowerOffVM_Task', {});
  const uuidOf = async (path: string) => /ddb\.uuid = "([^"]*)"/.exec(await readFile(path, 'utf8'))?.[1]?.toLowerCase();
  const uuid = await uuidOf(join(there.datastore, 'library/copy.vmdk'));
  await center.task(disks, 'MoveVirtualDisk_Task', {
    ...both,
    sourceName: `[${far}] library/copy.vmdk`,
    destName: `[${near}] iso/moved.vmdk`,
  });
  assert.deepEqual(await readDisk(here, 'iso/moved.vmdk'), bytes);
  assert.equal(await uuidOf(join(here.datastore, 'iso/moved.vmdk')), uuid);
  const left = await filesOf(there);
  assert.deepEqual(
    left.filter((name) => name.startsWith('library')),
    [
      'library',
      'library/deep',
      'library/deep/two.iso',
      'library/full-flat.vmdk',
      'library/full.vmdk',
      'library/one.iso',
    ],
  );
  assert.ok((await filesOf(here)).every((name) => !name.includes('arriving')));
  const events = await center.events();
  for (const type of ['DatastoreFileCopiedEvent', 'DatastoreFileMovedEvent']) assert.ok(events.includes(type), type);
  assert.deepEqual(center.defects, []);
});
