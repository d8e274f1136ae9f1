import assert from 'node:assert/strict';
import { mkdir, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { createDisk } from '../../create/create-disk.ts';
import { buildDescriptor } from '../../descriptor/descriptor-edit.ts';
import { writeDescriptor } from '../../descriptor/descriptor-file.ts';
import { withinFolders } from '../../descriptor/extent-path.ts';
import { openDisk } from '../../disk/open-disk.ts';
import { readRecord } from '../../disk/operation-record.ts';
import { collect, memoryFolder, streamOf } from '../../testing.ts';
import { allocationMap } from '../allocation/allocation-map.ts';
import { deleteDisk } from '../files/delete-disk.ts';
import { changeDescriptor, findDescriptor } from '../files/disk-descriptor.ts';
import { resizeDisk } from '../size/resize-disk.ts';
import { findChildren } from './children.ts';
import { commitDisk } from './commit-disk.ts';
import { consolidateDisk } from './consolidate-disk.ts';
import { createChild } from './create-child.ts';
import { rebaseDisk } from './rebase-disk.ts';

const virtualBytes = 2 ** 20;

async function made(folder: string, ...names: readonly string[]): Promise<string[]> {
  const paths = names.map((name) => join(folder, `${name}.vmdk`));
  for (const [index, path] of paths.entries()) {
    const parent = paths[index - 1];
    if (parent === undefined) await createDisk({ path, kind: 'monolithicSparse', virtualBytes });
    else await createChild({ path, parent });
  }
  return paths;
}

async function written(path: string, text: string, at = 0): Promise<void> {
  const disk = await openDisk(path, { writable: true });
  await disk.write(at, Buffer.from(text));
  await disk.close();
}

test('a write at any level is found out from every level above, and from none below', async (t) => {
  const paths = await made(await memoryFolder(t), 'a', 'b', 'c', 'd', 'e');
  await written(paths[2] as string, 'changed');
  for (const path of paths.slice(0, 3)) await (await openDisk(path)).close();
  for (const path of paths.slice(3)) {
    await assert.rejects(openDisk(path), { code: 'parent-changed', message: /d\.vmdk .*c\.vmdk has/ });
  }
  // Opened for writing, but not written, it stays what its children know.
  const [, parent, child] = await made(await memoryFolder(t), 'a', 'b', 'c');
  await (await openDisk(parent as string, { writable: true })).close();
  await (await openDisk(child as string)).close();
});

test('every operation refuses a chain whose parent changed', async (t) => {
  const folder = await memoryFolder(t);
  const [base, middle, top] = (await made(folder, 'a', 'b', 'c')) as [string, string, string];
  await written(base, 'changed');
  const changed = { code: 'parent-changed', message: /b\.vmdk .*a\.vmdk has/ };
  await assert.rejects(commitDisk({ path: top }), changed);
  await assert.rejects(consolidateDisk({ path: middle }), changed);
  await assert.rejects(consolidateDisk({ path: middle, into: 'parent' }), changed);
  await assert.rejects(rebaseDisk({ path: top }), changed);
  await assert.rejects(createChild({ path: join(folder, 'd.vmdk'), parent: top }), changed);
  await assert.rejects(resizeDisk({ path: top, virtualBytes: 2 ** 21 }), changed);
  await assert.rejects(collect(allocationMap(top)), changed);
  // Said to be the same after all, it is opened again.
  await rebaseDisk({ path: middle, parent: base, mode: 'unsafe' });
  await (await openDisk(top)).close();
});

test('a commit is refused while the parent has another child, known or in a folder that is named', async (t) => {
  const root = await memoryFolder(t);
  const [folder, elsewhere] = [join(root, 'a'), join(root, 'b')];
  await mkdir(folder);
  await mkdir(elsewhere);
  const [base, top] = (await made(folder, 'base', 'top')) as [string, string];
  const other = join(elsewhere, 'other.vmdk');
  await writeFile(join(elsewhere, 'noise.vmdk'), 'no disk');
  const allowOutside = withinFolders(root);
  await createChild({ path: other, parent: base, hint: 'absolute', allowOutside });
  assert.equal((await findDescriptor(other)).descriptor.parentFileNameHint, base);
  assert.deepEqual(await findChildren(base), [top]);
  assert.deepEqual(await findChildren(base, { childFolders: [elsewhere] }), [top, other].sort());
  const refused = { code: 'has-children', message: /other\.vmdk/ };
  await assert.rejects(commitDisk({ path: top, childFolders: [elsewhere] }), refused);
  await assert.rejects(commitDisk({ path: base }), { code: 'has-children' });
  // Nobody was told of it: then it finds its parent changed, and shows nothing wrong.
  await written(top, 'new');
  await commitDisk({ path: top });
  await assert.rejects(openDisk(other, { allowOutside }), { code: 'parent-changed' });
});

test('names of parents are followed within the folders that are allowed, and kept as they were', async (t) => {
  const root = await memoryFolder(t);
  const [bases, machines] = [join(root, 'bases'), join(root, 'machines')];
  await mkdir(bases);
  await mkdir(machines);
  const [base, middle] = (await made(bases, 'base', 'middle')) as [string, string];
  const allowOutside = withinFolders(bases);
  for (const hint of ['relative', 'absolute'] as const) {
    const path = join(machines, `${hint}.vmdk`);
    await createChild({ path, parent: middle, hint, allowOutside });
    await assert.rejects(openDisk(path), { code: 'outside-folder' });
    await assert.rejects(openDisk(path, { allowOutside: withinFolders(machines) }), { code: 'outside-folder' });
    await (await openDisk(path, { allowOutside })).close();
    await rebaseDisk({ path, parent: base, allowOutside });
    const name = (await findDescriptor(path)).descriptor.parentFileNameHint;
    assert.equal(name, hint === 'absolute' ? base : '../bases/base.vmdk');
    await rebaseDisk({ path, parent: middle, allowOutside });
  }
  // A parent that moved: its name is written anew, nothing else.
  await rename(bases, join(root, 'moved'));
  const moved = join(root, 'moved', 'middle.vmdk');
  const path = join(machines, 'relative.vmdk');
  await rebaseDisk({ path, parent: moved, mode: 'unsafe', allowOutside: withinFolders(root) });
  await (await openDisk(path, { allowOutside: withinFolders(root) })).close();
});

test('a disk is not made the child of its own child', async (t) => {
  const [base, , top] = (await made(await memoryFolder(t), 'a', 'b', 'c')) as [string, string, string];
  await assert.rejects(rebaseDisk({ path: base, parent: top }), { code: 'chain-cycle' });
  await (await openDisk(top)).close();
});

test('an operation that was not finished is named, and no other begins', async (t) => {
  const folder = await memoryFolder(t);
  const [base, middle, top] = (await made(folder, 'a', 'b', 'c')) as [string, string, string];
  await written(top, 'x'.repeat(300_000));
  const abort = new AbortController();
  const cut = rebaseDisk({
    path: top,
    parent: base,
    signal: abort.signal,
    onProgress: () => abort.abort(new Error('enough')),
  });
  await assert.rejects(cut, /enough/);
  const pending = { code: 'operation-pending', message: /c\.vmdk .*rebase/ };
  await assert.rejects(commitDisk({ path: top }), pending);
  await assert.rejects(rebaseDisk({ path: top, parent: middle }), pending);
  await assert.rejects(resizeDisk({ path: top, virtualBytes: 2 ** 21 }), pending);
  await assert.rejects(createChild({ path: join(folder, 'd.vmdk'), parent: top }), pending);
  await rebaseDisk({ path: top, parent: base });
  await commitDisk({ path: middle }).catch((error: unknown) =>
    assert.match(String(error), /has another|parent of another/),
  );
});

test('a child that cannot take a disk in, and a parent that cannot grow, leave no operation behind', async (t) => {
  const folder = await memoryFolder(t);
  const [base, middle, top] = (await made(folder, 'a', 'b', 'c')) as [string, string, string];
  await written(middle, 'middle');
  await rebaseDisk({ path: top, parent: middle, mode: 'unsafe' });
  const { descriptor } = await findDescriptor(top);
  await rm(top);
  const stream = { name: 'c.vmdk', contentId: descriptor.contentId };
  await writeFile(top, await streamOf(Buffer.alloc(virtualBytes), stream));
  await changeDescriptor(top, () => ({
    ...descriptor,
    lines: descriptor.lines.map((line) => line.replace('monolithicSparse', 'streamOptimized')),
  }));
  await assert.rejects(consolidateDisk({ path: middle }), { code: 'read-only' });
  assert.equal(await readRecord(middle), undefined);
  assert.equal(await readRecord(top), undefined);
  await rm(top);
  await resizeDisk({ path: middle, virtualBytes: 2 * virtualBytes });
  await writeDescriptor(
    base.replace('a.vmdk', 'd.vmdk'),
    buildDescriptor({
      createType: 'monolithicFlat',
      contentId: 7,
      extents: [
        { access: 'RW', sectors: 1024, type: 'FLAT', file: 'd1', offset: 0 },
        { access: 'RW', sectors: 1024, type: 'FLAT', file: 'd2', offset: 0 },
      ],
    }),
  );
  for (const name of ['d1', 'd2']) await writeFile(join(folder, name), Buffer.alloc(virtualBytes / 2));
  await rebaseDisk({ path: middle, parent: join(folder, 'd.vmdk') });
  await assert.rejects(commitDisk({ path: middle }), { code: 'descriptor-invalid', message: /d\.vmdk/ });
  assert.equal(await readRecord(middle), undefined);
});

test('a record that came with a disk takes no file outside its folder away', async (t) => {
  const root = await memoryFolder(t);
  const folder = join(root, 'disk');
  await mkdir(folder);
  const [base, top] = (await made(folder, 'a', 'b')) as [string, string];
  const precious = join(root, 'precious');
  await writeFile(precious, 'mine');
  const record = {
    operation: 'commit',
    phase: 'copied',
    parent: base,
    oldContentId: 1,
    newContentId: 2,
    children: [],
    files: [precious],
  };
  await writeFile(join(folder, '.b.vmdk.operation'), JSON.stringify(record));
  await assert.rejects(commitDisk({ path: top }), { code: 'outside-folder', message: /precious/ });
  for (const text of ['', '{', '[]', '{"operation":"commit"}', '{"operation":"resize","files":[1]}', 'null']) {
    await writeFile(join(folder, '.b.vmdk.operation'), text);
    await assert.rejects(commitDisk({ path: top }), { code: 'operation-pending' }, text);
  }
});

test('a chain of 32 is opened, read and mapped as one', async (t) => {
  const folder = await memoryFolder(t);
  const paths = await made(folder, ...Array.from({ length: 32 }, (_, index) => `disk-${index}`));
  const top = paths.at(-1) as string;
  await written(top, 'top', 5 * 65536);
  const disk = await openDisk(top);
  const content = Buffer.alloc(virtualBytes);
  content.write('top', 5 * 65536);
  assert.ok(content.equals(await disk.read(0, virtualBytes)));
  const states = (await collect(disk.map())).map(({ length, state }) => [length / 65536, state]);
  assert.deepEqual(states, [
    [5, 'unallocated'],
    [1, 'data'],
    [10, 'unallocated'],
  ]);
  await disk.close();
});

test('a file beside a disk that cannot be read may be its child: the parent stays', async (t) => {
  const folder = await memoryFolder(t);
  const [parent] = (await made(folder, 'a')) as [string];
  // Nobody reads it: a process that may open it is told EIO, another one EACCES.
  await symlink('/sys/bus/platform/drivers_probe', join(folder, 'b.vmdk'));
  await assert.rejects(deleteDisk(parent), { code: 'io-failed', message: /b\.vmdk/ });
  assert.equal((await stat(parent)).isFile(), true);
  await rm(join(folder, 'b.vmdk'));
  await symlink(join(folder, 'nowhere'), join(folder, 'c.vmdk'));
  await symlink('d.vmdk', join(folder, 'd.vmdk'));
  await deleteDisk(parent);
  await assert.rejects(stat(parent), { code: 'ENOENT' });
});
