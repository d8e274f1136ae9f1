import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { createDisk } from '../../create/create-disk.ts';
import { openDisk } from '../../disk/open-disk.ts';
import { readRecord } from '../../disk/operation-record.ts';
import { VmdkError } from '../../errors.ts';
import { patterned, temporaryFolder } from '../../testing.ts';
import { thickenDisk, thinDisk } from '../allocation/change-allocation.ts';
import { commitDisk } from '../chain/commit-disk.ts';
import { consolidateDisk } from '../chain/consolidate-disk.ts';
import { createChild } from '../chain/create-child.ts';
import { flattenDisk } from '../chain/flatten-disk.ts';
import { rebaseDisk } from '../chain/rebase-disk.ts';
import { resizeDisk } from '../size/resize-disk.ts';

const skip =
  process.getuid?.() === 0 ? false : 'it fills a small file system, which only root may mount: run it as root';
const virtualBytes = 3 * 2 ** 20;

/** A folder of a small file system of its own. */
async function mounted(t: TestContext, options: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'vmdk-mount-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', folder]);
  t.after(async () => {
    execFileSync('umount', ['--lazy', folder]);
    await rm(folder, { recursive: true });
  });
  return folder;
}

/** base ← middle ← top; the base is empty, the others hold 1 MiB each. */
async function chain(
  folder: string,
  kind: 'vmfs' | 'monolithicSparse',
): Promise<Record<'base' | 'middle' | 'top', string>> {
  const [base, middle, top] = ['base', 'middle', 'top'].map((name) => join(folder, `${name}.vmdk`)) as [
    string,
    string,
    string,
  ];
  await createDisk({ path: base, kind, virtualBytes });
  for (const [path, parent, at] of [
    [middle, base, 0],
    [top, middle, 2 ** 20],
  ] as const) {
    await createChild({ path, parent });
    const disk = await openDisk(path, { writable: true });
    await disk.write(at, patterned(2 ** 20, 70_000, [2]));
    await disk.close();
  }
  return { base, middle, top };
}

async function contentOf(path: string): Promise<Buffer> {
  const disk = await openDisk(path);
  try {
    return await disk.read(0, disk.virtualBytes);
  } finally {
    await disk.close();
  }
}

/** The package's own error, which names a file of the folder. */
function naming(folder: string, pattern: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof VmdkError, String(error));
    assert.ok(error.file.startsWith(folder), error.file);
    assert.match(error.message, pattern);
    return true;
  };
}

for (const kind of ['vmfs', 'monolithicSparse'] as const) {
  test(`a full file system under a ${kind} chain is named, nothing is lost, and with room it goes on`, {
    skip,
  }, async (t) => {
    const folder = await mounted(t, 'size=5m');
    const { base, middle, top } = await chain(folder, kind);
    const content = await contentOf(top);
    const ballast = join(folder, 'ballast');
    const before = (await readdir(folder)).sort();
    const full = naming(folder, /ENOSPC/);
    const fill = async () => {
      await writeFile(ballast, Buffer.alloc(8 * 2 ** 20)).catch(() => undefined);
    };
    await fill();
    const target = { path: join(folder, 'new.vmdk'), kind };
    await assert.rejects(flattenDisk({ path: top, target }), full);
    await assert.rejects(createChild({ path: join(folder, 'child.vmdk'), parent: top }), full);
    assert.deepEqual((await readdir(folder)).sort(), ['ballast', ...before]);
    // The parent takes what there is room for, and the chain still reads the same.
    await rm(ballast);
    await writeFile(ballast, Buffer.alloc(2 * 2 ** 20));
    const late = consolidateDisk({ path: middle, into: 'parent' });
    await assert.rejects(late, full);
    assert.ok(content.equals(await contentOf(top)), 'half way');
    await fill();
    await assert.rejects(consolidateDisk({ path: middle, into: 'parent' }), full);
    assert.ok(content.equals(await contentOf(top)), 'half way again');
    await rm(ballast);
    await consolidateDisk({ path: middle, into: 'parent' });
    assert.ok(content.equals(await contentOf(top)));
    await fill();
    await assert.rejects(rebaseDisk({ path: top }), full);
    assert.ok(content.equals(await contentOf(top)));
    if (kind === 'vmfs') await assert.rejects(thickenDisk({ path: base }), full);
    await rm(ballast);
    await rebaseDisk({ path: top });
    assert.ok(content.equals(await contentOf(top)));
  });
}

test('a file system that may not be written is named, and nothing changes', { skip }, async (t) => {
  const folder = await mounted(t, 'size=16m');
  const { base, middle, top } = await chain(folder, 'vmfs');
  const content = await contentOf(top);
  const before = (await readdir(folder)).sort();
  execFileSync('mount', ['-o', 'remount,ro', folder]);
  const denied = naming(folder, /EROFS/);
  await assert.rejects(createChild({ path: join(folder, 'child.vmdk'), parent: top }), denied);
  await assert.rejects(flattenDisk({ path: top, target: { path: join(folder, 'new.vmdk'), kind: 'vmfs' } }), denied);
  await assert.rejects(commitDisk({ path: top }), denied);
  await assert.rejects(consolidateDisk({ path: middle }), denied);
  await assert.rejects(consolidateDisk({ path: middle, into: 'parent' }), denied);
  await assert.rejects(rebaseDisk({ path: top, parent: base }), denied);
  await assert.rejects(resizeDisk({ path: top, virtualBytes: 2 ** 30 }), denied);
  await assert.rejects(thinDisk({ path: base }), denied);
  assert.ok(content.equals(await contentOf(top)));
  assert.deepEqual((await readdir(folder)).sort(), before);
  // The source may be read-only when the target is elsewhere.
  const elsewhere = await temporaryFolder(t);
  const path = join(elsewhere, 'new.vmdk');
  await flattenDisk({ path: top, target: { path, kind: 'monolithicSparse' } });
  assert.ok(content.equals(await contentOf(path)));
});

test('a parent that may not be written refuses a commit before anything changes', { skip }, async (t) => {
  const [parents, children] = [await mounted(t, 'size=16m'), await temporaryFolder(t)];
  const base = join(parents, 'base.vmdk');
  await createDisk({ path: base, kind: 'monolithicSparse', virtualBytes });
  const top = join(children, 'top.vmdk');
  const allowOutside = ({ path }: { path: string }) => path.startsWith(parents);
  await createChild({ path: top, parent: base, hint: 'absolute', allowOutside });
  execFileSync('mount', ['-o', 'remount,ro', parents]);
  await assert.rejects(commitDisk({ path: top }), { code: 'outside-folder' });
  await assert.rejects(commitDisk({ path: top, allowOutside }), naming(base, /EROFS/));
  assert.equal(await readRecord(top), undefined);
  assert.deepEqual(await readdir(children), ['top.vmdk']);
  await (await openDisk(top, { allowOutside })).close();
});

test('a file that vanished is named by every operation, and nothing changes', async (t) => {
  const folder = await temporaryFolder(t);
  const inner = join(folder, 'chain');
  await mkdir(inner);
  const { base, middle, top } = await chain(inner, 'vmfs');
  const content = await contentOf(top);
  for (const [file, pattern] of [
    [join(inner, 'base-flat.vmdk'), /base-flat\.vmdk/],
    [base, /base\.vmdk/],
    [middle, /middle\.vmdk/],
  ] as const) {
    await rename(file, join(folder, 'away'));
    const before = (await readdir(inner)).sort();
    const target = { path: join(inner, 'new.vmdk'), kind: 'monolithicSparse' as const };
    await assert.rejects(flattenDisk({ path: top, target }), naming(inner, pattern));
    await assert.rejects(createChild({ path: target.path, parent: top }), naming(inner, pattern));
    await assert.rejects(commitDisk({ path: top }), naming(inner, pattern));
    await assert.rejects(rebaseDisk({ path: top }), naming(inner, pattern));
    await assert.rejects(resizeDisk({ path: top, virtualBytes: 2 ** 30 }), naming(inner, pattern));
    if (file !== middle) await assert.rejects(consolidateDisk({ path: middle }), naming(inner, pattern));
    assert.deepEqual((await readdir(inner)).sort(), before);
    await rename(join(folder, 'away'), file);
    assert.ok(content.equals(await contentOf(top)));
  }
});
