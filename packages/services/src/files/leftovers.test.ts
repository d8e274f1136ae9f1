import assert from 'node:assert/strict';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { everything, temporaryDatastore } from '../testing/datastore-fixture.ts';
import { partialName } from './hidden-names.ts';
import { removeLeftovers } from './leftovers.ts';

test('removes what was left half-made, here only', async (t) => {
  const root = await temporaryDatastore(t);
  const other = await temporaryDatastore(t, 'other');
  await mkdir(join(root.directory, 'web', partialName(), 'logs'), { recursive: true });
  await writeFile(join(root.directory, partialName()), 'half');
  await writeFile(join(root.directory, 'web/disk-flat.vmdk.partial'), 'to be resumed');
  await writeFile(join(other.directory, partialName()), 'of another');
  await symlink(other.directory, join(root.directory, 'link'));
  assert.equal(await removeLeftovers(root), 2);
  assert.ok(!(await everything(root)).some((name) => /^(web\/)?\.hypo-/.test(name)));
  assert.ok((await everything(root)).includes('web/disk-flat.vmdk.partial'));
  assert.equal((await everything(other)).length, 1);
});
