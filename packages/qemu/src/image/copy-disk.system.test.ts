import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, open, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, it } from 'node:test';
import { promisify } from 'node:util';
import { HypervisorError } from '@hypostyle/contracts';
import { Spawner } from '../process/spawner.ts';
import { imageTool } from './image-tool.ts';

const run = promisify(execFile);
const spawner = new Spawner();
const images = imageTool((command, options) => spawner.run(command, options));
const megabyte = 2 ** 20;

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'copy-disk-'));
  const file = await open(join(folder, 'base'), 'wx');
  await file.truncate(64 * megabyte);
  await file.write(Buffer.alloc(megabyte, 7), 0, megabyte, 5 * megabyte);
  await file.write(Buffer.alloc(megabyte), 0, megabyte, 9 * megabyte);
  await file.write(Buffer.alloc(512, 9), 0, 512, 64 * megabyte - 512);
  await file.close();
});
after(() => rm(folder, { recursive: true }));

it('copies a flat file, holes as holes, and makes holes of zeros when that is asked', async () => {
  const path = join(folder, 'copy');
  const base = { format: 'raw', path: join(folder, 'base') } as const;
  await images.copyDisk({ layers: [base], path });
  assert.ok((await readFile(path)).equals(await readFile(base.path)));
  assert.ok((await stat(path)).blocks <= (await stat(base.path)).blocks);
  const sparse = join(folder, 'sparse');
  await images.copyDisk({ layers: [base], path: sparse, sparse: true });
  assert.ok((await readFile(sparse)).equals(await readFile(base.path)));
  assert.ok((await stat(sparse)).blocks * 512 < 2 * megabyte);
});

it('copies a small file without holes by itself, and an empty one', async () => {
  const programs: (readonly string[])[] = [];
  const alone = imageTool(async (command) => void programs.push(command));
  for (const size of [0, 1, 4096, megabyte]) {
    const from = join(folder, `small-${size}`);
    const file = await open(from, 'wx');
    await file.writeFile(Buffer.alloc(size, 'log '));
    // So that what it takes on disk is known.
    await file.sync();
    await file.close();
    const path = `${from}-copy`;
    await alone.copyDisk({ layers: [{ format: 'raw', path: from }], path });
    assert.ok((await readFile(path)).equals(await readFile(from)), `${size} bytes`);
  }
  assert.deepEqual(programs, []);
});

it('copies what a delta over a base reads as', async () => {
  const base = { format: 'raw', path: join(folder, 'base') } as const;
  const delta = { format: 'qcow2', path: join(folder, 'delta.qcow2') } as const;
  await images.createDelta({
    path: delta.path,
    virtualBytes: 64 * megabyte,
    backing: { ...base, relativePath: 'base' },
  });
  await run('qemu-io', ['-c', 'write -P 3 5m 4096', '-c', 'write -P 4 40m 4096', delta.path]);
  const path = join(folder, 'flattened');
  const seen: number[] = [];
  await images.copyDisk({ layers: [delta, base], path, onProgress: (fraction) => seen.push(fraction) });
  const bytes = await readFile(path);
  assert.equal(bytes.length, 64 * megabyte);
  const wanted = await readFile(base.path);
  wanted.fill(3, 5 * megabyte, 5 * megabyte + 4096);
  wanted.fill(4, 40 * megabyte, 40 * megabyte + 4096);
  assert.ok(bytes.equals(wanted));
  assert.ok((await stat(path)).blocks * 512 < 4 * megabyte);
  assert.ok(seen.length > 0 && seen.every((fraction) => fraction >= 0 && fraction <= 1));
});

it('overwrites nothing, says what is missing, and ends when it is cancelled', async () => {
  const base = { format: 'raw', path: join(folder, 'base') } as const;
  const failed = (error: unknown) => error instanceof HypervisorError && error.code === 'image-failed';
  await assert.rejects(images.copyDisk({ layers: [base], path: join(folder, 'copy') }), failed);
  await assert.rejects(
    images.copyDisk({ layers: [{ format: 'raw', path: join(folder, 'nothing') }], path: join(folder, 'x') }),
    failed,
  );
  const reason = new Error('cancelled');
  const signal = AbortSignal.abort(reason);
  await assert.rejects(images.copyDisk({ layers: [base], path: join(folder, 'y'), signal }), (e) => e === reason);
});
