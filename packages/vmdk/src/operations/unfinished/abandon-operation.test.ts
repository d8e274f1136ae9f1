import assert from 'node:assert/strict';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { createDisk } from '../../create/create-disk.ts';
import { openDisk } from '../../disk/open-disk.ts';
import { readRecord } from '../../disk/operation-record.ts';
import { memoryFolder, patterned } from '../../testing.ts';
import { gateFiles, mortal } from '../../testing-mortal.ts';
import { commitDisk } from '../chain/commit-disk.ts';
import { createChild } from '../chain/create-child.ts';
import { rebaseDisk } from '../chain/rebase-disk.ts';
import { abandonOperation } from './abandon-operation.ts';
import { finishOperation } from './finish-operation.ts';

const virtualBytes = 6 * 65536;

async function chain(folder: string) {
  await mkdir(folder);
  const [base, child, other] = ['base', 'child', 'other'].map((name) => join(folder, `${name}.vmdk`)) as [
    string,
    string,
    string,
  ];
  const content = patterned(virtualBytes, 20_000, [1, 2, 0]);
  for (const path of [base, other]) await createDisk({ path, kind: 'monolithicSparse', virtualBytes });
  await write(base, content, 0);
  await createChild({ path: child, parent: base });
  const own = patterned(65536, 4096, [2]);
  await write(child, own, 65536);
  await write(child, own, 4 * 65536);
  own.copy(content, 65536);
  own.copy(content, 4 * 65536);
  return { base, child, other, content };
}

async function write(path: string, data: Buffer, offset: number): Promise<void> {
  const disk = await openDisk(path, { writable: true });
  await disk.write(offset, data);
  await disk.close();
}

async function read(path: string): Promise<Buffer> {
  const disk = await openDisk(path);
  try {
    return await disk.read(0, virtualBytes);
  } finally {
    await disk.close();
  }
}

test('a commit that is cut off at any step can be given up: the child reads the same, and it is said what is lost', async (t) => {
  const folder = await memoryFolder(t);
  t.after(await gateFiles());
  let given = 0;
  for (let steps = 1; ; steps += 3) {
    const { base, child, content } = await chain(join(folder, `commit${steps}`));
    if (await mortal(steps, () => commitDisk({ path: child }).then(() => {}))) break;
    const record = await readRecord(child);
    if (record?.operation !== 'commit' || record.phase !== 'begun') continue;
    given += 1;
    await assert.rejects(abandonOperation({ path: child }), {
      code: 'operation-pending',
      message: /loses: what it held by itself.*base\.vmdk/,
    });
    const abandoned = await abandonOperation({ path: child, acceptLoss: true });
    assert.deepEqual(abandoned?.kept, [child]);
    assert.ok((await read(child)).equals(content), `given up after ${steps} steps`);
    // And it is a disk as any other: written, and committed.
    await write(child, Buffer.alloc(512, 7), 0);
    await commitDisk({ path: child });
    content.fill(7, 0, 512);
    assert.ok((await read(base)).equals(content));
  }
  assert.ok(given > 3, `${given} times`);
});

test('a commit whose child is gone can only be given up, and its parent is worked on again', async (t) => {
  const folder = await memoryFolder(t);
  const ungate = await gateFiles();
  t.after(ungate);
  const { base, child } = await chain(join(folder, 'gone'));
  for (let steps = 3; (await readRecord(child)) === undefined; steps += 1)
    await mortal(steps, () => commitDisk({ path: child }).then(() => {}));
  await rm(child);
  await assert.rejects(finishOperation(child));
  await assert.rejects(abandonOperation({ path: child }), /what was written to it and is not in its parent yet/);
  const abandoned = await abandonOperation({ path: child, acceptLoss: true });
  assert.deepEqual(
    abandoned?.losses.map(({ file }) => file),
    [child, base],
  );
  assert.equal(await abandonOperation({ path: child }), undefined);
  await write(base, Buffer.alloc(512, 1), 0);
});

test('a rebase whose new parent is gone is given up without a loss', async (t) => {
  const folder = await memoryFolder(t);
  t.after(await gateFiles());
  let given = 0;
  for (let steps = 1; ; steps += 3) {
    const { child, other, content } = await chain(join(folder, `rebase${steps}`));
    if (await mortal(steps, () => rebaseDisk({ path: child, parent: other }))) break;
    if ((await readRecord(child)) === undefined) continue;
    given += 1;
    await rm(other);
    const abandoned = await abandonOperation({ path: child });
    // The last step may have been done: then the parent that is gone is its own.
    const now = await read(child).catch(() => undefined);
    if (now !== undefined) assert.ok(now.equals(content), `given up after ${steps} steps`);
    assert.deepEqual(abandoned, { operation: 'rebase', losses: [], kept: [child] });
  }
  assert.ok(given > 3, `${given} times`);
});
