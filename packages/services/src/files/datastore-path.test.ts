import assert from 'node:assert/strict';
import { test } from 'node:test';
import { VimFault } from '@hypostyle/vim';
import fc from 'fast-check';
import { checkRelativePath, formatDatastorePath, joinPath, parseDatastorePath, splitPath } from './datastore-path.ts';

const invalid = (error: unknown) => error instanceof VimFault && error.type === 'InvalidDatastorePath';

test('reads what clients write', () => {
  assert.deepEqual(parseDatastorePath('[datastore1] web/web.vmx'), { datastore: 'datastore1', path: 'web/web.vmx' });
  assert.deepEqual(parseDatastorePath('[a b]x y/z'), { datastore: 'a b', path: 'x y/z' });
  assert.deepEqual(parseDatastorePath('[a] folder/'), { datastore: 'a', path: 'folder' });
  assert.deepEqual(parseDatastorePath('[a]'), { datastore: 'a', path: '' });
  assert.deepEqual(parseDatastorePath('[a] '), { datastore: 'a', path: '' });
  assert.deepEqual(parseDatastorePath('[a] .'), { datastore: 'a', path: '' });
  assert.deepEqual(parseDatastorePath('[a] ..x/...'), { datastore: 'a', path: '..x/...' });
});

test('refuses what would climb, and what is no path', () => {
  const refused = [
    '',
    'web/web.vmx',
    '[]',
    '[] x',
    '[a',
    '[a] /etc/passwd',
    '[a] ..',
    '[a] x/../../etc',
    '[a] ./x',
    '[a] x/./y',
    '[a] x//y',
    '[a] //',
    '[a] x\0y',
    '[a] x\ny',
    '[a\0] x',
    '[..] x',
    '[a[b] x',
    '[a] \ud800',
    `[a] ${'x'.repeat(256)}`,
    `[a] ${'x/'.repeat(1100)}x`,
    `[${'d'.repeat(256)}] x`,
  ];
  for (const text of refused) assert.throws(() => parseDatastorePath(text), invalid, JSON.stringify(text));
});

test('any text is a path that stays below, or InvalidDatastorePath', () => {
  const pieces = fc.array(
    fc.oneof(fc.constantFrom('..', '.', '/', '[', ']', ' ', '\0', '%2e', 'a', '\\'), fc.string({ unit: 'binary' })),
    { maxLength: 12 },
  );
  fc.assert(
    fc.property(pieces, (parts) => {
      const text = `[a] ${parts.join('')}`;
      try {
        const parsed = parseDatastorePath(text);
        for (const name of parsed.path === '' ? [] : parsed.path.split('/')) {
          assert.ok(name !== '' && name !== '.' && name !== '..' && !name.includes('\0'));
        }
        assert.deepEqual(parseDatastorePath(formatDatastorePath(parsed)), parsed);
      } catch (error) {
        if (!invalid(error)) throw error;
      }
    }),
    { numRuns: 500 },
  );
});

test('a path is its folder and its name', () => {
  for (const path of ['a', 'a/b', 'a/b/c.vmdk']) {
    const { folder, name } = splitPath(path);
    assert.equal(joinPath(folder, name), path);
    assert.equal(checkRelativePath(path), path);
  }
});
