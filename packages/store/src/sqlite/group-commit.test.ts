import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { EncodedWrite } from '../encoded-write.ts';
import { openDatabase } from './database.ts';
import { Documents } from './documents.ts';
import { commitGroup } from './group-commit.ts';

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'store-'));
});
after(() => rm(folder, { recursive: true, force: true }));

const put = (key: string, value: unknown): EncodedWrite => ({
  kind: 'put',
  collection: 'vm',
  key,
  json: JSON.stringify(value),
});

test('a batch that does not fit takes none of its neighbours with it', () => {
  const { database, close } = openDatabase({ path: join(folder, 'full.db'), readOnly: false });
  database.exec('PRAGMA max_page_count = 20');
  const documents = new Documents(database);
  const outcomes = commitGroup(database, documents, [
    [put('a', 1)],
    [put('b', 'small'), put('large', 'x'.repeat(200_000))],
    [put('c', 3)],
  ]);
  assert.deepEqual(
    outcomes.map(({ error }) => error === undefined),
    [true, false, true],
  );
  const [page] = documents.list('vm', { from: undefined, to: undefined, reverse: false, limit: undefined });
  assert.deepEqual(
    page?.map(({ key }) => key),
    ['a', 'c'],
  );
  close();
});

test('a failed check in a group leaves the batches before and after it', () => {
  const { database, close } = openDatabase({ path: join(folder, 'check.db'), readOnly: false });
  const documents = new Documents(database);
  const outcomes = commitGroup(database, documents, [
    [put('a', 1)],
    [put('b', 2), { kind: 'check', collection: 'vm', key: 'a', exists: false }],
    [{ kind: 'check', collection: 'vm', key: 'b', exists: false }, put('c', 3)],
  ]);
  assert.deepEqual(outcomes, [{}, { conflict: { collection: 'vm', key: 'a' } }, {}]);
  assert.equal(documents.get('vm', 'b'), undefined);
  assert.equal(documents.get('vm', 'c'), '3');
  close();
});
