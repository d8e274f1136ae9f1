import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { openStore, StoreError, type StoreErrorCode } from '../index.ts';
import { decodeKey, encodeKey } from '../key-encoding.ts';

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'store-'));
});
after(() => rm(folder, { recursive: true, force: true }));

const put = (key: string, value: unknown) => [{ put: { collection: 'vm', key, value } }];

function failsWith(code: StoreErrorCode, path: string) {
  return (error: unknown): boolean => {
    assert.ok(error instanceof StoreError, String(error));
    assert.equal(error.code, code);
    assert.ok(error.message.includes(path), error.message);
    return true;
  };
}

test('keys are encoded so that their bytes sort as their code units do', () => {
  const text = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.array(fc.nat(0xffff)).map((units) => String.fromCharCode(...units)),
  );
  fc.assert(
    fc.property(text, text, (left, right) => {
      assert.equal(decodeKey(encodeKey(left)), left);
      const order = left < right ? -1 : left > right ? 1 : 0;
      assert.equal(Buffer.compare(encodeKey(left), encodeKey(right)), order);
    }),
    { numRuns: 500 },
  );
});

test('a second writer is refused while the first is open; a reader is not', async () => {
  const path = join(folder, 'locked.db');
  const store = await openStore({ path });
  await store.transact(put('1', 'one'));
  await assert.rejects(openStore({ path }), failsWith('inUse', path));
  // Another process as well.
  const script = `import { openStore } from ${JSON.stringify(new URL('../index.ts', import.meta.url).href)};
    openStore({ path: process.argv[1] }).then(() => process.exit(7), (error) => console.log(error.code));`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script, path], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let said = '';
  child.stdout.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  assert.deepEqual((await once(child, 'close'))[0], 0);
  assert.equal(said.trim(), 'inUse');

  const reader = await openStore({ path, readOnly: true });
  assert.equal(await reader.get('vm', '1'), 'one');
  await store.transact(put('2', 'two'));
  assert.equal(await reader.get('vm', '2'), 'two');
  await assert.rejects(reader.transact(put('3', 3)), failsWith('readOnly', path));
  await reader.close();
  await store.close();
  const next = await openStore({ path });
  assert.equal(await next.get('vm', '2'), 'two');
  await next.close();
});

test('a file that is not a database, or is cut short, is refused by name and left as it is', async () => {
  const text = join(folder, 'text.db');
  await writeFile(text, 'not a database, whatever its name says\n'.repeat(200));
  await assert.rejects(openStore({ path: text }), failsWith('corrupt', text));
  assert.match(await readFile(text, 'utf8'), /^not a database/);

  const cut = join(folder, 'cut.db');
  const store = await openStore({ path: cut });
  for (let index = 0; index < 50; index++) await store.transact(put(String(index), 'x'.repeat(5000)));
  await store.close();
  await truncate(cut, 40_000);
  await assert.rejects(openStore({ path: cut }), failsWith('corrupt', cut));
});

test('a file of a newer version, or of another program, is refused and left as it is', async () => {
  const path = join(folder, 'newer.db');
  await (await openStore({ path })).close();
  const database = new DatabaseSync(path);
  database.exec('PRAGMA user_version = 99');
  database.close();
  await assert.rejects(openStore({ path }), failsWith('newer', path));
  await assert.rejects(openStore({ path, readOnly: true }), failsWith('newer', path));

  const foreign = join(folder, 'foreign.db');
  const other = new DatabaseSync(foreign);
  other.exec('CREATE TABLE song (title TEXT)');
  other.close();
  const bytes = await readFile(foreign);
  await assert.rejects(openStore({ path: foreign }), failsWith('foreign', foreign));
  assert.deepEqual(await readFile(foreign), bytes);
});

test('a path that cannot be opened is an error that names it', async () => {
  const path = join(folder, 'no', 'such', 'folder.db');
  await assert.rejects(openStore({ path }), failsWith('failed', path));
  await assert.rejects(openStore({ path: join(folder, 'none.db'), readOnly: true }), failsWith('missing', 'none.db'));
});

test('batches that wait together share a commit', async () => {
  const path = join(folder, 'group.db');
  const store = await openStore({ path });
  const frames = async () => (await readFile(`${path}-wal`)).length;
  await store.transact(put('warm', 1));
  const before = await frames();
  await Promise.all(Array.from({ length: 500 }, (_, index) => store.transact(put(`k${index}`, index))));
  // Each commit writes at least one whole page of 4 KiB to the log; 500 of them would be 2 MB.
  assert.ok((await frames()) - before < 500 * 4096 * 0.5, `the log grew by ${(await frames()) - before} bytes`);
  await store.close();
});
