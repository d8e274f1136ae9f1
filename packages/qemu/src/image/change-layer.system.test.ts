import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';
import { promisify } from 'node:util';
import { Spawner } from '../process/spawner.ts';
import { imageTool } from './image-tool.ts';

const run = promisify(execFile);

const spawner = new Spawner();
const images = imageTool((command, options) => spawner.run(command, options));
const virtualBytes = 4 << 20;

/** Stretches that a bitmap of an image has as changed, as a client of NBD is told. */
async function changedRanges(folder: string, image: string, bitmap: string): Promise<readonly [number, number][]> {
  const socket = join(folder, 'nbd');
  // The image's name of the file is taken from where the tool is.
  await run('qemu-nbd', ['-r', '-f', 'qcow2', '-B', bitmap, '--fork', '-k', socket, image], { cwd: folder });
  const source = `driver=nbd,server.type=unix,server.path=${socket},x-dirty-bitmap=qemu:dirty-bitmap:${bitmap}`;
  const map = await run('qemu-img', ['map', '--output=json', '--image-opts', source]);
  const ranges = JSON.parse(map.stdout) as { start: number; length: number; data: boolean }[];
  // What is dirty is told as a hole.
  return ranges.filter(({ data }) => !data).map(({ start, length }) => [start, length]);
}

it('keeps what a merge writes, and leaves the file plain', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'changes-'));
  try {
    const path = join(folder, 'disk, one-flat.vmdk');
    const changesPath = join(folder, 'disk, one-ctk.qcow2');
    const bytes = Buffer.alloc(virtualBytes, 'plain');
    await writeFile(path, bytes);
    await images.createChangeLayer({ path: changesPath, fileName: 'disk, one-flat.vmdk', virtualBytes });
    assert.deepEqual((await readdir(folder)).sort(), ['disk, one-ctk.qcow2', 'disk, one-flat.vmdk']);
    assert.ok(bytes.equals(await readFile(path)), 'the bytes are as they were');
    await assert.rejects(images.createChangeLayer({ path: changesPath, fileName: 'x', virtualBytes }), {
      code: 'image-failed',
    });
    await run('qemu-img', ['bitmap', '--add', '-g', '65536', changesPath, 'g1'], { cwd: folder });

    const delta = join(folder, 'delta.qcow2');
    const base = { format: 'raw' as const, path, changesPath };
    await images.createDelta({ path: delta, virtualBytes, backing: { ...base, relativePath: 'disk, one-flat.vmdk' } });
    await run('qemu-io', ['-c', 'write -P 7 1M 128k', delta]);
    await images.commit({ layers: [{ format: 'qcow2', path: delta }, base] });

    bytes.fill(7, 1 << 20, (1 << 20) + 131_072);
    assert.ok(bytes.equals(await readFile(path)), 'the file has the merged bytes, without the image');
    assert.deepEqual(await changedRanges(folder, changesPath, 'g1'), [[1 << 20, 131_072]]);
    await run('qemu-img', ['check', changesPath], { cwd: folder });
  } finally {
    await rm(folder, { recursive: true });
  }
});
