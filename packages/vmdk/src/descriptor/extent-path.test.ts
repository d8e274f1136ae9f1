import assert from 'node:assert/strict';
import { test } from 'node:test';
import { resolveReference } from './extent-path.ts';

const options = { kind: 'extent', from: '/ds/vm/disk.vmdk' } as const;

test('names within the folder are resolved', () => {
  assert.equal(resolveReference('/ds/vm', 'disk-flat.vmdk', options), '/ds/vm/disk-flat.vmdk');
  assert.equal(resolveReference('/ds/vm', 'sub/..x/a b.vmdk', options), '/ds/vm/sub/..x/a b.vmdk');
});

test('names that climb out are refused, and asked about when somebody answers', () => {
  for (const name of ['/etc/shadow', '../other/x', 'a/../../x', 'a/..', '..\\x', 'C:\\x', 'c:/x']) {
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
