import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

/** Without a small file system of its own nothing can be filled. */
const mountsRefused = 'no file system may be mounted here: it runs as root, with unshare of util-linux';

const execute = promisify(execFile);
const mebibyte = 2 ** 20;
const hypo = join(import.meta.dirname, '..', '..', 'bin', 'hypo.mjs');
const kinds = ['streamOptimized', 'vmfs', 'twoGbMaxExtentSparse', 'raw', 'qcow2'] as const;

async function imageIn(t: TestContext, mebibytes: number) {
  const folder = await mkdtemp(join(tmpdir(), 'hypostyle-convert-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const image = Buffer.alloc(mebibytes * mebibyte);
  for (let at = 0; at < image.length; at += 4096) image.writeDoubleLE(Math.sqrt(at + 1), at + (at % 4000));
  const raw = join(folder, 'source.raw');
  await writeFile(raw, image);
  return { folder, raw, image, at: (name: string) => join(folder, name) };
}

async function fails(command: string, ...words: readonly string[]): Promise<{ code: unknown; stderr: string }> {
  const failure = await execute(command, [...words]).then(
    () => undefined,
    (error: { readonly code: unknown; readonly stderr: string }) => error,
  );
  assert.ok(failure, 'it did not fail');
  return failure;
}

test('a full disk is named, the source is intact, and nothing half-made is left', { timeout: 120_000 }, async (t) => {
  const { raw, image, at } = await imageIn(t, 48);
  const small = at('small');
  await mkdir(small);
  // A mount of its own, gone with its process. The image takes 48 MiB in every kind but the compressed one.
  for (const kind of ['streamOptimized', 'twoGbMaxExtentSparse', 'raw', 'qcow2']) {
    const target = join(small, 'target.vmdk');
    const size = kind === 'streamOptimized' ? '256k' : '24m';
    const script = `mount -t tmpfs -o size=${size} none "$1" || exit 77
      "$2" "$3" disk convert "$4" "$5" --to "$6"; code=$?
      ls -A "$1"; exit $code`;
    const words = ['-m', '/bin/sh', '-c', script, 'sh', small, process.execPath, hypo, raw, target, kind];
    const failure = (await fails('unshare', ...words)) as { code: unknown; stderr: string; stdout?: string };
    if (failure.code === 77 || failure.stderr.startsWith('unshare:')) return t.skip(mountsRefused);
    assert.equal(failure.code, 1, failure.stderr);
    assert.match(failure.stderr, /no space left|ENOSPC/i, kind);
    assert.match(failure.stderr, /target/, kind);
    assert.equal(failure.stdout ?? '', '', `${kind} left something`);
  }
  assert.ok((await readFile(raw)).equals(image));
});

test('a folder that may not be written is named', { timeout: 60_000 }, async (t) => {
  const { folder, raw, at } = await imageIn(t, 1);
  const locked = at('locked');
  await mkdir(locked);
  await chmod(folder, 0o755);
  await chmod(locked, 0o555);
  const convert = [process.execPath, hypo, 'disk', 'convert', raw, join(locked, 'target.vmdk')];
  const asNobody = ['--reuid=65534', '--regid=65534', '--clear-groups', '--'];
  const [command, ...words] = process.getuid?.() === 0 ? ['setpriv', ...asNobody, ...convert] : convert;
  const { code, stderr } = await fails(command as string, ...words);
  assert.equal(code, 1, stderr);
  assert.match(stderr, /locked.*(EACCES|permission denied)/i);
  assert.deepEqual(await readdir(locked), []);
});

test('kill -9 at any moment leaves no disk, and the next run clears away what it left', {
  timeout: 180_000,
}, async (t) => {
  const { folder, raw, image, at } = await imageIn(t, 48);
  let killed = 0;
  for (let round = 0; round < 6; round += 1) {
    const kind = kinds[round % kinds.length] as string;
    const target = at(`target-${round}.vmdk`);
    const words = [hypo, 'disk', 'convert', raw, target, '--to', kind];
    const child = spawn(process.execPath, words, { stdio: 'ignore' });
    const exited = once(child, 'exit');
    // From the first moment that there is something of it, somewhere in its course.
    while (child.exitCode === null && !(await exists(`${target}.partial`))) await sleep(1);
    await sleep((round * 37) % 50);
    const finished = child.exitCode !== null || (await exists(target));
    child.kill('SIGKILL');
    await exited;
    if (!finished) {
      killed += 1;
      // Its name is given last: once it is there, it is whole.
      if (await exists(target)) await same(raw, target, kind);
      const flat = (await readdir(folder)).filter(
        (name) => name.startsWith(`target-${round}`) && !name.endsWith('.partial'),
      );
      assert.ok(flat.length === 0 || (await exists(target)) || (await exists(`${target}.partial`)), flat.join());
    }
    await execute(process.execPath, [...words, ...((await exists(target)) ? ['--force'] : [])]);
    await same(raw, target, kind);
    const left = (await readdir(folder)).filter((name) => name.includes('partial'));
    assert.deepEqual(left, []);
    for (const name of await readdir(folder)) if (name.startsWith('target-')) await rm(at(name));
  }
  assert.ok(killed >= 2, `only ${killed} were killed in time`);
  assert.ok((await readFile(raw)).equals(image));
});

async function same(raw: string, target: string, kind: string): Promise<void> {
  const format = kind === 'raw' || kind === 'qcow2' ? kind : 'vmdk';
  await execute('qemu-img', ['compare', '-f', 'raw', '-F', format, raw, target]);
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}
