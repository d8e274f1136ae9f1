import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { creatableKinds, createDisk } from '../create/create-disk.ts';
import { openDisk } from '../disk/open-disk.ts';
import { patterned, temporaryFolder } from '../testing.ts';
import { allocationMap } from './allocation/allocation-map.ts';
import { thickenDisk, thinDisk } from './allocation/change-allocation.ts';
import { commitDisk } from './chain/commit-disk.ts';
import { consolidateDisk } from './chain/consolidate-disk.ts';
import { createChild } from './chain/create-child.ts';
import { flattenDisk } from './chain/flatten-disk.ts';
import { rebaseDisk } from './chain/rebase-disk.ts';
import { resizeDisk } from './size/resize-disk.ts';

const run = promisify(execFile);
const skip =
  spawnSync('qemu-img', ['--version']).status === 0
    ? false
    : 'qemu-img is not installed: node scripts/debian-packages.mjs run';
const depth = 32;
const virtualBytes = 12 * 2 ** 20 + 1024;

function pathOf(folder: string, index: number): string {
  return join(folder, `disk-${index}.vmdk`);
}

/** What the n-th disk of a chain writes: some blocks of its own and some that an older one wrote. */
function changesOf(index: number): readonly (readonly [number, Buffer])[] {
  return [
    [index * 300_000, Buffer.alloc(50_000, index + 1)],
    [(depth - index) * 200_000, Buffer.alloc(3000, 200 - index)],
    [index * 65_536, Buffer.alloc(index % 5 === 0 ? 65_536 : 512)],
  ];
}

/** qemu-img reads every byte as we say, and finds nothing wrong. */
async function agrees(path: string, content: Buffer): Promise<void> {
  const raw = `${path}.raw`;
  await writeFile(raw, content);
  await run('qemu-img', ['compare', '-f', 'raw', '-F', 'vmdk', raw, path]);
  const disk = await openDisk(path);
  assert.ok(content.equals(await disk.read(0, disk.virtualBytes)));
  await disk.close();
}

async function checked(path: string): Promise<void> {
  const { stdout } = await run('qemu-img', ['check', '-f', 'vmdk', path]);
  assert.match(stdout, /No errors/);
}

async function backingChain(path: string): Promise<string[]> {
  const { stdout } = await run('qemu-img', ['info', '--backing-chain', '--output=json', path]);
  return (JSON.parse(stdout) as { filename: string }[]).map(({ filename }) => filename);
}

/** A chain made by us, each disk with what it must hold. */
async function ourChain(folder: string, length: number): Promise<Buffer[]> {
  const contents: Buffer[] = [];
  let content = Buffer.alloc(virtualBytes);
  for (let index = 0; index < length; index += 1) {
    const path = pathOf(folder, index);
    if (index === 0) await createDisk({ path, kind: 'monolithicSparse', virtualBytes });
    else await createChild({ path, parent: pathOf(folder, index - 1), zeroedGrains: index % 2 === 0 });
    content = Buffer.from(content);
    const disk = await openDisk(path, { writable: true });
    for (const [offset, data] of changesOf(index)) {
      await disk.write(offset, data);
      data.copy(content, offset);
    }
    await disk.close();
    contents.push(content);
  }
  return contents;
}

test('qemu-img reads and checks our chain of 32, and agrees after every operation', { skip }, async (t) => {
  const folder = await temporaryFolder(t);
  const contents = await ourChain(folder, depth);
  const content = contents.at(-1) as Buffer;
  const top = pathOf(folder, depth - 1);
  assert.equal((await backingChain(top)).length, depth);
  await agrees(top, content);
  for (let index = 0; index < depth; index += 1) await checked(pathOf(folder, index));

  await consolidateDisk({ path: pathOf(folder, 20), into: 'child' });
  assert.equal((await backingChain(top)).length, depth - 1);
  await agrees(top, content);
  await checked(pathOf(folder, 21));
  await agrees(pathOf(folder, 19), contents[19] as Buffer);

  await consolidateDisk({ path: pathOf(folder, 10), into: 'parent' });
  assert.equal((await backingChain(top)).length, depth - 2);
  await agrees(top, content);
  await agrees(pathOf(folder, 9), contents[10] as Buffer);
  await checked(pathOf(folder, 9));

  await rebaseDisk({ path: pathOf(folder, 25), parent: pathOf(folder, 5) });
  assert.equal((await backingChain(top)).length, depth - 2 - 17);
  await agrees(top, content);
  await checked(pathOf(folder, 25));
  await agrees(pathOf(folder, 24), contents[24] as Buffer);

  await thinDisk({ path: top });
  await agrees(top, content);
  await resizeDisk({ path: top, virtualBytes: 40 * 2 ** 20 });
  const grown = Buffer.concat([content], 40 * 2 ** 20);
  await agrees(top, grown);
  await run('qemu-io', ['-f', 'vmdk', '-c', 'write -P 91 35M 1M', top]);
  grown.fill(91, 35 * 2 ** 20, 36 * 2 ** 20);
  await agrees(top, grown);
  await checked(top);

  assert.equal(await commitDisk({ path: top }), pathOf(folder, depth - 2));
  await agrees(pathOf(folder, depth - 2), grown);
  await checked(pathOf(folder, depth - 2));
  await rebaseDisk({ path: pathOf(folder, depth - 2) });
  assert.equal((await backingChain(pathOf(folder, depth - 2))).length, 1);
  await agrees(pathOf(folder, depth - 2), grown);
});

test('a chain of 32 made by qemu-img is read, committed, consolidated and flattened', { skip }, async (t) => {
  const folder = await temporaryFolder(t);
  const content = Buffer.alloc(virtualBytes);
  for (let index = 0; index < depth; index += 1) {
    const path = pathOf(folder, index);
    const parent = index === 0 ? [] : ['-b', `disk-${index - 1}.vmdk`, '-F', 'vmdk'];
    const size = index === 0 ? [String(virtualBytes)] : [];
    const options = index % 3 === 2 ? ['-o', 'zeroed_grain=on'] : [];
    await run('qemu-img', ['create', '-q', '-f', 'vmdk', ...options, ...parent, path, ...size], { cwd: folder });
    const [offset, pattern] = [index * 262_144, index + 1];
    await run('qemu-io', ['-f', 'vmdk', '-c', `write -P ${pattern} ${offset} 192k`, path]);
    content.fill(pattern, offset, offset + 192 * 1024);
  }
  const top = pathOf(folder, depth - 1);
  await agrees(top, content);
  const layers = new Set<number | undefined>();
  for await (const { layer } of allocationMap(top)) layers.add(layer);
  // The last third of each is overwritten by nobody, so that all of them are seen.
  assert.equal(layers.size, depth + 1);
  for (const kind of creatableKinds) {
    const target = join(folder, `${kind}.vmdk`);
    await flattenDisk({ path: top, target: { path: target, kind } });
    await agrees(target, content);
  }
  await commitDisk({ path: top });
  await consolidateDisk({ path: pathOf(folder, 7) });
  await consolidateDisk({ path: pathOf(folder, 11), into: 'parent' });
  await agrees(pathOf(folder, depth - 2), content);
  assert.equal((await backingChain(pathOf(folder, depth - 2))).length, depth - 3);
});

for (const kind of creatableKinds) {
  test(`qemu-img agrees when a ${kind} disk grows, shrinks and changes its room`, { skip }, async (t) => {
    const folder = await temporaryFolder(t);
    const path = join(folder, 'disk.vmdk');
    const data = patterned(900_000, 20_000, [2, 0, 1]);
    await createDisk({ path, kind, virtualBytes: 2 ** 20 });
    const disk = await openDisk(path, { writable: true });
    await disk.write(0, data);
    await disk.close();
    for (const bytes of [2 ** 20 + 512, 70 * 2 ** 20, 2 ** 20 - 512, 40 * 2 ** 20 + 1024]) {
      await resizeDisk({ path, virtualBytes: bytes });
      await agrees(path, Buffer.concat([data], bytes));
      if (kind.endsWith('Sparse')) await checked(path);
    }
    await run('qemu-io', ['-f', 'vmdk', '-c', 'write -P 5 39M 1M', path]);
    const content = Buffer.concat([data], 40 * 2 ** 20 + 1024).fill(5, 39 * 2 ** 20, 40 * 2 ** 20);
    await thinDisk({ path });
    await agrees(path, content);
    if (!kind.endsWith('Sparse')) await thickenDisk({ path, allocation: 'eager' });
    await agrees(path, content);
    await run('qemu-img', ['create', '-q', '-f', 'vmdk', '-b', 'disk.vmdk', '-F', 'vmdk', join(folder, 'child.vmdk')], {
      cwd: folder,
    });
    await assert.rejects(resizeDisk({ path, virtualBytes: 2 ** 30 }), { code: 'has-children', message: /child\.vmdk/ });
    assert.ok((await readdir(folder)).includes('child.vmdk'));
  });
}
