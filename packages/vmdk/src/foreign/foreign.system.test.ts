import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { convertDisk } from '../convert/convert-disk.ts';
import { openDisk } from '../disk/open-disk.ts';
import { readStreamOptimized } from '../stream/stream-reader.ts';
import { inChunks, patterned, streamOf, temporaryFolder } from '../testing.ts';
import { convertToForeign } from './convert-to-foreign.ts';
import { foreignFormats, formatOf } from './foreign-format.ts';
import { openAnyDisk } from './open-any-disk.ts';

const run = promisify(execFile);
/** QEMU cannot make the others any more. */
const writable = ['qcow2', 'vhdx', 'vpc', 'vdi', 'qed'] as const;

test('disks go to other formats and come back, byte for byte', { timeout: 120_000 }, async (t) => {
  const folder = await temporaryFolder(t);
  const at = (name: string) => join(folder, name);
  // 17 MiB less a sector would be rounded up by VHD.
  const image = patterned(17 * 2 ** 20, 40960, [2, 0, 1, 0, 0]);
  await writeFile(at('a.raw'), image);
  let source = await openAnyDisk(at('a.raw'));
  await convertDisk({ source, target: { path: at('a.vmdk'), kind: 'monolithicSparse' } });
  await source.close();
  for (const format of writable) {
    const path = at(`b.${format}`);
    const progress: number[] = [];
    source = await openDisk(at('a.vmdk'));
    const onProgress = ({ doneBytes }: { readonly doneBytes: number }) => progress.push(doneBytes);
    await convertToForeign({ source, target: { path, format }, onProgress });
    await source.close();
    assert.equal(progress.at(-1), image.length);
    assert.equal(await formatOf(path), format);
    await run('qemu-img', ['compare', '-f', 'raw', '-F', format, at('a.raw'), path]).catch((error: unknown) => {
      // VHD has whole cylinders: the rest is zeros.
      if (format !== 'vpc') throw error;
    });
    source = await openAnyDisk(path);
    assert.equal(source.path, path);
    const back = at(`back-${format}.vmdk`);
    await convertDisk({ source, target: { path: back, kind: 'vmfs' } });
    await source.close();
    source = await openDisk(back);
    assert.ok((await source.read(0, image.length)).equals(image), format);
    await source.close();
  }
  const stream = await readStreamOptimized(inChunks(await streamOf(image), [100000]));
  await convertToForeign({ source: stream, target: { path: at('c.qcow2'), format: 'qcow2' } });
  await run('qemu-img', ['compare', '-f', 'raw', '-F', 'qcow2', at('a.raw'), at('c.qcow2')]);
  assert.deepEqual(
    (await readdir(folder)).filter((name) => name.includes('partial')),
    [],
  );
});

test('an image that draws on another file is refused unless that is allowed', async (t) => {
  const folder = await temporaryFolder(t);
  const at = (name: string) => join(folder, name);
  await writeFile(at('secret.raw'), Buffer.alloc(2 ** 20, 's'));
  const create = (...words: readonly string[]) => run('qemu-img', ['create', '-q', ...words]);
  await create('-f', 'qcow2', '-b', at('secret.raw'), '-F', 'raw', at('child.qcow2'));
  await create('-f', 'qed', '-b', at('secret.raw'), '-F', 'raw', at('child.qed'));
  await create('-f', 'qcow2', '-o', `data_file=${at('data.raw')}`, at('data.qcow2'), '1M');
  for (const name of ['child.qcow2', 'child.qed', 'data.qcow2']) {
    await assert.rejects(openAnyDisk(at(name)), { code: 'outside-folder' }, name);
  }
  const disk = await openAnyDisk(at('child.qcow2'), { allowReferences: true });
  assert.equal((await disk.read(0, 6)).toString(), 'ssssss');
  await disk.close();
});

test('what is no image is refused by name, and a conversion that fails or is given up leaves nothing', async (t) => {
  const folder = await temporaryFolder(t);
  const at = (name: string) => join(folder, name);
  await writeFile(
    at('bad.qcow2'),
    Buffer.concat([Buffer.from('QFI\xfb\0\0\0\x03', 'latin1'), Buffer.alloc(2000, 0x55)]).fill(0, 8, 16),
  );
  await assert.rejects(openAnyDisk(at('bad.qcow2')), (error: Error & { code?: string }) => {
    assert.ok(['tool-failed', 'outside-folder'].includes(error.code ?? ''), error.message);
    assert.match(error.message, /bad\.qcow2/);
    return true;
  });
  await writeFile(at('a.raw'), patterned(64 * 2 ** 20, 65536, [2]));
  const source = await openAnyDisk(at('a.raw'));
  const abort = new AbortController();
  const target = { path: at('a.qcow2'), format: 'qcow2' as const };
  const onProgress = () => abort.abort(new Error('enough'));
  await assert.rejects(convertToForeign({ source, target, onProgress, signal: abort.signal }), /enough/);
  await source.close();
  assert.deepEqual((await readdir(folder)).sort(), ['a.raw', 'bad.qcow2']);
});

test('formats are told by their first bytes', async (t) => {
  const folder = await temporaryFolder(t);
  for (const format of foreignFormats) {
    if (format === 'qcow') continue;
    const path = join(folder, format);
    await run('qemu-img', ['create', '-q', '-f', format, path, '4M']).catch(() => undefined);
    if ((await readFile(path).catch(() => undefined)) !== undefined) assert.equal(await formatOf(path), format);
  }
  await writeFile(join(folder, 'raw'), Buffer.alloc(512));
  assert.equal(await formatOf(join(folder, 'raw')), undefined);
});

test('without the tools it says what to install', async (t) => {
  const folder = await temporaryFolder(t);
  const image = join(folder, 'a.qcow2');
  await run('qemu-img', ['create', '-q', '-f', 'qcow2', image, '1M']);
  const { PATH } = process.env;
  t.after(() => {
    process.env.PATH = PATH;
  });
  await symlink('/usr/bin/setpriv', join(folder, 'setpriv'));
  process.env.PATH = folder;
  await assert.rejects(openAnyDisk(image), (error: Error & { code?: string }) => {
    assert.equal(error.code, 'tool-missing');
    assert.match(error.message, /a\.qcow2 .*apt-get install qemu-utils/);
    return true;
  });
});
