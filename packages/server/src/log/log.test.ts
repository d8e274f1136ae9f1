import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { loggedPath, openLog } from './log.ts';
import { RotatingFile } from './rotating-file.ts';

test('a log file stays within its size, and so many old ones are kept', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'hypostyle-log-'));
  try {
    const path = join(folder, 'a.log');
    const file = new RotatingFile(path, { limitBytes: 1000, kept: 2 });
    for (let number = 0; number < 100; number += 1) file.write(`${String(number).padStart(99, '.')}\n`);
    file.close();
    assert.deepEqual((await readdir(folder)).sort(), ['a.log', 'a.log.1', 'a.log.2']);
    for (const name of await readdir(folder)) assert.ok((await stat(join(folder, name))).size <= 1000, name);
    assert.match(await readFile(path, 'utf8'), /99\n$/);
    assert.match(await readFile(`${path}.1`, 'utf8'), /89\n$/);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('secrets do not reach the log', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'hypostyle-log-'));
  try {
    const path = join(folder, 'a.log');
    const log = openLog(path);
    log.logger.info(
      { password: 'hush1', request: { cookie: 'hush2', authorization: 'hush3' }, machine: 'web' },
      'seen',
    );
    log.close();
    const text = await readFile(path, 'utf8');
    assert.doesNotMatch(text, /hush/);
    assert.match(text, /"machine":"web"/);
    assert.equal((await stat(path)).mode & 0o777, 0o600);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('what opens something is left out of logged paths', () => {
  assert.equal(loggedPath('/nfc/0123456789abcdef/disk-0.vmdk'), '/nfc/***/disk-0.vmdk');
  assert.equal(loggedPath('/ticket/0123456789abcdef?x=1'), '/ticket/***');
  assert.equal(loggedPath('/folder/a.vmx?dsName=d&secret=1'), '/folder/a.vmx');
});

test('what is said after the log was closed is lost, and no error', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'hypostyle-log-'));
  try {
    const path = join(folder, 'server.log');
    const log = openLog(path);
    log.logger.info('before');
    log.close();
    log.logger.error('after');
    log.close();
    assert.match(await readFile(path, 'utf8'), /before/);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
