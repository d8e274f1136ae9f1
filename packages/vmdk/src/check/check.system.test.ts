import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { open, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { parseSparseHeader } from '../sparse/sparse-header.ts';
import { recoverStream } from '../stream/recover-stream.ts';
import { patterned, streamOf, temporaryFolder } from '../testing.ts';
import { checkDisk } from './check-disk.ts';
import { repairDisk } from './repair-disk.ts';

const run = promisify(execFile);
const skip =
  spawnSync('qemu-img', ['--version']).status === 0
    ? false
    : 'qemu-img is not installed: node scripts/debian-packages.mjs run';
const image = patterned(40 * 2 ** 20 + 3 * 512, 100_000, [0, 1, 2, 0, 0]);

async function madeByQemu(t: TestContext, subformat: string): Promise<{ folder: string; raw: string; path: string }> {
  const folder = await temporaryFolder(t);
  const [raw, path] = [join(folder, 'raw'), join(folder, 'disk.vmdk')];
  await writeFile(raw, image);
  await run('qemu-img', ['convert', '-f', 'raw', '-O', 'vmdk', '-o', `subformat=${subformat}`, raw, path]);
  return { folder, raw, path };
}

for (const subformat of [
  'monolithicSparse',
  'monolithicFlat',
  'twoGbMaxExtentSparse',
  'twoGbMaxExtentFlat',
  'streamOptimized',
]) {
  test(`nothing is found in ${subformat} made by qemu-img`, { skip }, async (t) => {
    const { path } = await madeByQemu(t, subformat);
    const { findings, sound } = await checkDisk(path);
    assert.deepEqual([findings, sound], [[], true]);
  });
}

test('a disk of qemu-img whose first tables are gone is the same to it once repaired', { skip }, async (t) => {
  const { path, raw } = await madeByQemu(t, 'monolithicSparse');
  const bytes = await readFile(path);
  const header = parseSparseHeader(bytes.subarray(0, 512), path);
  const handle = await open(path, 'r+');
  const start = (header.directoryOffset as number) * 512;
  await handle.write(Buffer.alloc(header.overheadSectors * 512 - start, 0xff), 0, undefined, start);
  await handle.write(Uint8Array.of(1), 0, 1, 72);
  await handle.close();
  const differs = await run('qemu-img', ['compare', '-f', 'raw', '-F', 'vmdk', raw, path]).then(
    () => false,
    () => true,
  );
  assert.ok(differs, 'qemu-img does not read it before');
  const { after, actions } = await repairDisk(path);
  assert.deepEqual(after.findings, []);
  assert.ok(actions.length >= 2, JSON.stringify(actions));
  const { stdout } = await run('qemu-img', ['compare', '-f', 'raw', '-F', 'vmdk', raw, path]);
  assert.match(stdout, /identical/);
  await run('qemu-img', ['check', '-f', 'vmdk', path]);
});

test('a stream that was cut off is what was recovered to qemu-img, once it is finished', { skip }, async (t) => {
  const folder = await temporaryFolder(t);
  const [path, raw] = [join(folder, 'disk.vmdk'), join(folder, 'raw')];
  const stream = await streamOf(image, { level: 1, name: 'disk.vmdk' });
  for (const length of [stream.length - 512, stream.length - 20_000, Math.floor(stream.length * 0.6)]) {
    await writeFile(path, stream.subarray(0, length));
    const recovered = await recoverStream(path);
    await writeFile(raw, await recovered.disk.read(0, recovered.disk.virtualBytes));
    await recovered.disk.close();
    assert.deepEqual((await repairDisk(path, { acceptLoss: true })).after.findings, []);
    const { stdout } = await run('qemu-img', ['compare', '-f', 'raw', '-F', 'vmdk', raw, path]);
    assert.match(stdout, /identical/, `${length} of ${stream.length}`);
  }
});
