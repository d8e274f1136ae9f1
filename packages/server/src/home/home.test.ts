import assert from 'node:assert/strict';
import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { findDaemon, parseDaemonRecord, writeDaemonRecord } from './daemon-record.ts';
import { openHome } from './home.ts';
import { administratorPassword } from './password.ts';
import { writeReadyFile } from './ready-file.ts';
import { runDirectoryOf } from './run-directory.ts';

async function inFolder<T>(run: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'hypostyle-home-'));
  try {
    return await run(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

test('a home and its folders are for the owner alone, also one that was open to others', async () => {
  await inFolder(async (folder) => {
    await chmod(folder, 0o755);
    const home = await openHome(folder);
    for (const path of [home.directory, home.tlsDirectory, home.cacheDirectory]) {
      assert.equal((await stat(path)).mode & 0o777, 0o700, path);
    }
  });
});

test('a home that is a file is refused with what to do', async () => {
  await inFolder(async (folder) => {
    const path = join(folder, 'file');
    await writeFile(path, '');
    await assert.rejects(openHome(path), { code: 'home-invalid', message: /--home/ });
  });
});

test('the password is long, made once, and readable to the owner alone', async () => {
  await inFolder(async (folder) => {
    const path = join(folder, 'password');
    const password = await administratorPassword(path);
    assert.match(password, /^[A-Za-z0-9]{20,}$/);
    assert.equal(await administratorPassword(path), password);
    assert.equal((await stat(path)).mode & 0o777, 0o600);
    assert.notEqual(await administratorPassword(join(folder, 'other')), password);
  });
});

test('the ready file is whole, private, and the only thing that is written', async () => {
  await inFolder(async (folder) => {
    const message = { url: 'https://127.0.0.1:1', username: 'root', password: 'secret', pid: 7 };
    await writeReadyFile(join(folder, 'ready'), message);
    assert.deepEqual(JSON.parse(await readFile(join(folder, 'ready'), 'utf8')), message);
    assert.equal((await stat(join(folder, 'ready'))).mode & 0o777, 0o600);
    assert.deepEqual(await readdir(folder), ['ready']);
  });
});

test('a record counts while that very process runs', async () => {
  await inFolder(async (folder) => {
    const home = await openHome(folder);
    assert.equal(await findDaemon(home), undefined);
    await writeDaemonRecord(home, { url: 'https://127.0.0.1:8443', userName: 'root' });
    assert.equal((await findDaemon(home))?.pid, process.pid);
    const record = JSON.parse(await readFile(home.recordFile, 'utf8')) as object;
    await writeFile(home.recordFile, JSON.stringify({ ...record, startTime: '1' }));
    assert.equal(await findDaemon(home), undefined, 'a pid that was used again');
    await writeFile(home.recordFile, JSON.stringify({ ...record, bootId: 'before' }));
    assert.equal(await findDaemon(home), undefined, 'a pid from before the machine booted');
  });
});

test('a damaged record is none', () => {
  for (const text of [undefined, '', '{', 'null', '[]', '{"pid":1,"startTime":"1","bootId":"x"}', '{"pid":"5"}']) {
    assert.equal(parseDaemonRecord(text), undefined, text);
  }
});

test('a run directory is short, its own for each home, and the same each time', () => {
  const root = runDirectoryOf('/var/lib/a', { userId: 0 });
  assert.match(root, /^\/run\/hypostyle\/[0-9a-f]{8}$/);
  assert.equal(runDirectoryOf('/var/lib/a', { userId: 0 }), root);
  assert.notEqual(runDirectoryOf('/var/lib/b', { userId: 0 }), root);
  assert.match(
    runDirectoryOf('/home/u/.h', { userId: 1000, runtimeDirectory: '/run/user/1000' }),
    /^\/run\/user\/1000\/hypostyle-/,
  );
  const long = runDirectoryOf('/home/u/.h', { userId: 1000, runtimeDirectory: `/${'x'.repeat(80)}` });
  assert.ok(long.length <= 47, long);
});
