import assert from 'node:assert/strict';
import { test } from 'node:test';
import { resolveReference, withinFolders } from './extent-path.ts';

const options = { kind: 'extent', from: '/ds/vm/disk.vmdk' } as const;

test('names within the folder are resolved', () => {
  assert.equal(resolveReference('/ds/vm', 'disk-flat.vmdk', options), '/ds/vm/disk-flat.vmdk');
  assert.equal(resolveReference('/ds/vm', 'sub/..x/a b.vmdk', options), '/ds/vm/sub/..x/a b.vmdk');
});

test('names that climb out are refused, and asked about when somebody answers', () => {
  assert.equal(resolveReference('/ds/vm', '/ds/vm/base.vmdk', options), '/ds/vm/base.vmdk');
  for (const name of [
    '/etc/shadow',
    '/ds/vm/../x',
    '/ds/vm',
    '/ds/vm2/x',
    '../other/x',
    'a/../../x',
    'a/..',
    '..\\x',
    'C:\\x',
    'c:/x',
  ]) {
    assert.throws(() => resolveReference('/ds/vm', name, options), { code: 'outside-folder' }, name);
  }
  const asked: unknown[] = [];
  const allowOutside = (reference: { path: string }) => {
    asked.push(reference);
    return reference.path === '/ds/base/x.vmdk';
  };
  assert.equal(resolveReference('/ds/vm', '../base/x.vmdk', { ...options, allowOutside }), '/ds/base/x.vmdk');
  assert.deepEqual(asked, [{ path: '/ds/base/x.vmdk', kind: 'extent', from: '/ds/vm/disk.vmdk' }]);
  assert.throws(() => resolveReference('/ds/vm', '/etc/shadow', { ...options, allowOutside }), {
    code: 'outside-folder',
  });
});

test('what is no file name is refused whatever is allowed', () => {
  for (const name of ['', 'a\0b', 'a\nb', 'x'.repeat(5000)]) {
    assert.throws(() => resolveReference('/ds', name, { ...options, allowOutside: () => true }), {
      code: 'descriptor-invalid',
    });
  }
});

test('folders that are named let their files pass, and nothing beside them', () => {
  const allowOutside = withinFolders('/ds/base', '/other/');
  const resolved = (name: string) => resolveReference('/ds/vm', name, { ...options, kind: 'parent', allowOutside });
  assert.equal(resolved('../base/deep/x.vmdk'), '/ds/base/deep/x.vmdk');
  assert.equal(resolved('/other/x.vmdk'), '/other/x.vmdk');
  for (const name of ['/ds/base2/x', '/ds/base/../x', '/ds/base', '../x']) {
    assert.throws(() => resolved(name), { code: 'outside-folder' }, name);
  }
});
