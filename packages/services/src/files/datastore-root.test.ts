import assert from 'node:assert/strict';
import { constants } from 'node:fs';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { VimFault } from '@hypostyle/vim';
import fc from 'fast-check';
import { type DatastoreRoot, openInRoot, resolveInRoot } from './datastore-root.ts';

let scratch: string;
let root: DatastoreRoot;
const type = (name: string) => (error: unknown) => error instanceof VimFault && error.type === name;

before(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'hypo-root-'));
  root = { name: 'ds', directory: join(scratch, 'ds') };
  await mkdir(join(scratch, 'ds/vm'), { recursive: true });
  await writeFile(join(scratch, 'secret'), 'secret');
  await writeFile(join(scratch, 'ds/vm/a.vmx'), 'inside');
  await symlink('../secret', join(scratch, 'ds/file-link'));
  await symlink('..', join(scratch, 'ds/folder-link'));
  await symlink('vm', join(scratch, 'ds/inner-link'));
});
after(() => rm(scratch, { recursive: true }));

test('opens what is inside', async () => {
  const handle = await openInRoot(root, 'vm/a.vmx');
  assert.equal(await handle.readFile('utf8'), 'inside');
  await handle.close();
});

test('never goes through a symbolic link', async () => {
  for (const path of [
    'file-link',
    'folder-link',
    'folder-link/secret',
    'folder-link/ds/vm/a.vmx',
    'inner-link/a.vmx',
  ]) {
    await assert.rejects(openInRoot(root, path), type('InvalidDatastorePath'), path);
    await assert.rejects(openInRoot(root, path, constants.O_WRONLY | constants.O_CREAT), type('InvalidDatastorePath'));
  }
});

test('a datastore whose root is a link works', async () => {
  await symlink('ds', join(scratch, 'mounted'));
  const handle = await openInRoot({ name: 'ds', directory: join(scratch, 'mounted') }, 'vm/a.vmx');
  await handle.close();
});

test('absent folders and files are FileNotFound, named in datastore syntax', async () => {
  await assert.rejects(openInRoot(root, 'none/a'), (error: unknown) => {
    assert.ok(error instanceof VimFault);
    assert.equal(error.type, 'FileNotFound');
    assert.equal(error.detail.file, '[ds] none/a');
    assert.ok(!error.message.includes(scratch));
    return true;
  });
  await assert.rejects(openInRoot(root, 'vm/b'), type('FileNotFound'));
});

test('no path of any kind leads out', async () => {
  const names = fc.constantFrom(
    '..',
    '.',
    'vm',
    'a.vmx',
    'folder-link',
    'inner-link',
    'file-link',
    '',
    'ds',
    'secret',
    '\0',
  );
  await fc.assert(
    fc.asyncProperty(fc.array(names, { maxLength: 6 }), fc.boolean(), async (parts, absolute) => {
      try {
        const full = await resolveInRoot(root, (absolute ? '/' : '') + parts.join('/'));
        assert.ok(full === root.directory || full.startsWith(`${root.directory}/`));
        for (const link of ['file-link', 'folder-link', 'inner-link']) {
          assert.ok(!`${full}/`.startsWith(`${root.directory}/${link}/`));
        }
      } catch (error) {
        assert.ok(error instanceof VimFault, String(error));
      }
    }),
    { numRuns: 200 },
  );
});
