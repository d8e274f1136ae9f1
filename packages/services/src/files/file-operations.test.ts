import assert from 'node:assert/strict';
import { mkdir, readFile, rm, stat, symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { everything, faultOf, temporaryDatastore } from '../testing/datastore-fixture.ts';
import { copyFile, makeDirectory, moveFile } from './file-operations.ts';
import { deleteFile } from './file-removal.ts';

const never = new AbortController().signal;
const idle = { force: false, isBusy: () => false, signal: never };

async function fixture(t: TestContext) {
  const root = await temporaryDatastore(t);
  await mkdir(join(root.directory, 'web/logs'), { recursive: true });
  await writeFile(join(root.directory, 'web/web.vmx'), 'web');
  await writeFile(join(root.directory, 'web/logs/1.log'), 'log');
  return { root, at: (path: string) => ({ root, path }) };
}

test('makes folders, with their parents when asked', async (t) => {
  const { root, at } = await fixture(t);
  await makeDirectory(at('new'), false);
  await assert.rejects(makeDirectory(at('new'), false), faultOf('FileAlreadyExists'));
  await assert.rejects(makeDirectory(at('a/b/c'), false), faultOf('FileNotFound'));
  await makeDirectory(at('a/b/c'), true);
  assert.ok((await everything(root)).includes('a/b/c'));
  await assert.rejects(makeDirectory(at('web/web.vmx/x'), true), faultOf('NotADirectory'));
  await assert.rejects(makeDirectory(at(''), true), faultOf('InvalidDatastorePath'));
  await assert.rejects(makeDirectory(at('../x'), true), faultOf('InvalidDatastorePath'));
  await assert.rejects(makeDirectory(at('.hypo'), true), faultOf('InvalidDatastorePath'));
});

test('moves and copies within a datastore and between two', async (t) => {
  const { root, at } = await fixture(t);
  const other = await temporaryDatastore(t, 'other');
  await copyFile(at('web'), { root: other, path: 'copy' }, idle);
  assert.deepEqual(await everything(other), ['copy', 'copy/logs', 'copy/logs/1.log', 'copy/web.vmx']);
  await moveFile(at('web'), at('www'), idle);
  assert.deepEqual(await everything(root), ['www', 'www/logs', 'www/logs/1.log', 'www/web.vmx']);
  await copyFile(at('www/web.vmx'), at('www/b.vmx'), idle);
  await assert.rejects(copyFile(at('www/web.vmx'), at('www/b.vmx'), idle), faultOf('FileAlreadyExists'));
  await writeFile(join(root.directory, 'www/web.vmx'), 'new');
  await copyFile(at('www/web.vmx'), at('www/b.vmx'), { ...idle, force: true });
  assert.equal(await readFile(join(root.directory, 'www/b.vmx'), 'utf8'), 'new');
  await moveFile(at('www/web.vmx'), at('www/b.vmx'), { ...idle, force: true });
  await assert.rejects(moveFile(at('www'), at('www/logs/deeper'), idle), faultOf('InvalidDatastorePath'));
  await assert.rejects(copyFile(at('www'), at('www'), { ...idle, force: true }), faultOf('InvalidDatastorePath'));
  await assert.rejects(moveFile(at('none'), at('x'), idle), faultOf('FileNotFound'));
  await assert.rejects(
    copyFile(at('www'), { root: other, path: 'copy' }, { ...idle, force: true }),
    faultOf('FileAlreadyExists'),
  );
  assert.deepEqual(await everything(root), ['www', 'www/b.vmx', 'www/logs', 'www/logs/1.log']);
});

test('what is in use stays', async (t) => {
  const { root, at } = await fixture(t);
  const isBusy = (_root: unknown, path: string) => path === 'web/logs/1.log';
  const before = await everything(root);
  await assert.rejects(deleteFile(root, 'web', isBusy), faultOf('FileLocked'));
  await assert.rejects(moveFile(at('web'), at('www'), { ...idle, isBusy }), faultOf('FileLocked'));
  await assert.rejects(
    copyFile(at('web/web.vmx'), at('web/logs/1.log'), { ...idle, isBusy, force: true }),
    faultOf('FileLocked'),
  );
  assert.deepEqual(await everything(root), before);
  await deleteFile(root, 'web', () => false);
  assert.deepEqual(await everything(root), []);
  await assert.rejects(
    deleteFile(root, 'web', () => false),
    faultOf('FileNotFound'),
  );
  await assert.rejects(
    deleteFile(root, '', () => false),
    faultOf('InvalidDatastorePath'),
  );
});

test('a stopped copy leaves nothing, holes stay holes, links are not followed', async (t) => {
  const { root, at } = await fixture(t);
  const before = await everything(root);
  const controller = new AbortController();
  controller.abort(new Error('canceled'));
  await assert.rejects(copyFile(at('web'), at('copy'), { ...idle, signal: controller.signal }), /canceled/);
  assert.deepEqual(await everything(root), before);
  await writeFile(join(root.directory, 'web/large'), '');
  await truncate(join(root.directory, 'web/large'), 2 ** 36);
  const midway = new AbortController();
  const copying = assert.rejects(copyFile(at('web'), at('copy'), { ...idle, signal: midway.signal }), /stopped/);
  while (!(await everything(root)).some((name) => name.endsWith('.partial/large'))) await turn();
  midway.abort(new Error('stopped'));
  await copying;
  assert.deepEqual(await everything(root), [...before, 'web/large'].sort());
  await rm(join(root.directory, 'web/large'));
  await writeFile(join(root.directory, 'holes'), Buffer.alloc(4_194_304));
  await copyFile(at('holes'), at('copied'), idle);
  const { size, blocks } = await stat(join(root.directory, 'copied'));
  assert.equal(size, 4_194_304);
  assert.ok(blocks * 512 < size / 2);
  await symlink('/etc', join(root.directory, 'web/etc'));
  await copyFile(at('web'), at('web2'), idle);
  assert.ok(!(await everything(root)).includes('web2/etc'));
  await assert.rejects(copyFile(at('web/etc'), at('x'), idle), faultOf('InvalidDatastorePath'));
  await deleteFile(root, 'web', () => false);
  assert.ok((await stat('/etc')).isDirectory());
});
