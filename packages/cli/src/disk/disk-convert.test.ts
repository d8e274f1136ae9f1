import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { openDisk } from '@hypostyle/vmdk';
import { run } from '../run.ts';
import { memoryContext } from '../testing/memory-terminal.ts';
import { writeSmallPackage } from '../testing/small-package.ts';

const mebibyte = 2 ** 20;

async function hypo(...args: string[]) {
  const memory = memoryContext();
  const code = await run(['disk', 'convert', ...args], memory.context);
  return { code, output: memory.output(), errors: memory.errors() };
}

/** Runs it in the middle of a pipe. */
async function piped(input: Buffer, ...args: string[]) {
  const memory = memoryContext();
  const output = new PassThrough();
  const terminal = { ...memory.context.terminal, input: Readable.from([input]), output };
  const bytes = buffer(output);
  const code = await run(['disk', 'convert', ...args], { ...memory.context, terminal });
  output.end();
  return { code, bytes: await bytes, errors: memory.errors() };
}

async function imageIn(t: TestContext) {
  const folder = await mkdtemp(join(tmpdir(), 'hypostyle-convert-'));
  t.after(() => rm(folder, { recursive: true }));
  const image = Buffer.alloc(3 * mebibyte);
  image.write('first');
  image.write('last', 3 * mebibyte - 4);
  const raw = join(folder, 'a.raw');
  await writeFile(raw, image);
  return { folder, image, raw, at: (name: string) => join(folder, name) };
}

test('a raw image becomes a disk, the disk a stream, and that the image again', async (t) => {
  const { at, image, raw, folder } = await imageIn(t);
  const made = await hypo(raw, at('b.vmdk'));
  assert.equal(made.code, 0, made.errors);
  assert.match(made.output, /kind +vmfs\nsize +3 MiB \(3145728 bytes\)/);
  const packed = await hypo(at('b.vmdk'), at('c.vmdk'), '--to', 'streamoptimized', '--json');
  const told = JSON.parse(packed.output) as { kind: string; files: string[]; storedBytes: number };
  assert.deepEqual([told.kind, told.files], ['streamOptimized', [at('c.vmdk')]]);
  const out = await piped(await readFile(at('c.vmdk')), '-', '-', '--to', 'raw');
  assert.equal(out.code, 0, out.errors);
  assert.ok(out.bytes.equals(image));
  const stream = await piped(image, '-', '-', '--from', 'raw', '--size', '3M');
  assert.equal(stream.code, 0, stream.errors);
  await writeFile(at('d.vmdk'), stream.bytes);
  assert.equal((await hypo(at('d.vmdk'), at('d.raw'))).code, 0);
  assert.ok((await readFile(at('d.raw'))).equals(image));
  assert.deepEqual(
    (await readdir(folder)).filter((name) => name.includes('partial')),
    [],
  );
});

test('a disk comes out of an archive', async (t) => {
  const { folder, at } = await imageIn(t);
  const { ova } = await writeSmallPackage(folder, Buffer.alloc(65536, 3));
  assert.equal((await hypo(`${ova}/disk.vmdk`, at('e.vmdk'), '--to', 'monolithicSparse', '--grain', '8K')).code, 0);
  const disk = await openDisk(at('e.vmdk'));
  assert.deepEqual([disk.virtualBytes, disk.blockBytes, (await disk.read(5, 1))[0]], [4 * mebibyte, 8192, 3]);
  await disk.close();
});

test('nothing is replaced without --force, and what cannot be is said at once', async (t) => {
  const { raw, at } = await imageIn(t);
  await writeFile(at('b.raw'), 'mine');
  const refused = await hypo(raw, at('b.raw'));
  assert.equal(refused.code, 1);
  assert.match(refused.errors, /b\.raw already exists/);
  assert.equal(await readFile(at('b.raw'), 'utf8'), 'mine');
  assert.equal((await hypo(raw, at('b.raw'), '--force')).code, 0);
  for (const [args, words] of [
    [[raw, at('x.iso')], /Say it with --to/],
    [[raw, at('x.vmdk'), '--to', 'tape'], /'tape' is not known/],
    [[raw, '-', '--to', 'qcow2'], /qcow2 needs a file/],
    [['-', at('x.vmdk'), '--from', 'raw'], /--size/],
    [['-', at('x.vmdk'), '--from', 'qcow2'], /from a pipe/],
    [[raw, at('x.vmdk'), '--size', '1M'], /standard input/],
    [[raw, at('x.vmdk'), '--level', '11'], /no level/],
    [[raw, at('x.vmdk'), '--grain', 'x'], /no size/],
  ] as const) {
    const { code, errors } = await hypo(...args);
    assert.equal(code, 2, errors);
    assert.match(errors, words);
  }
  const missing = await hypo(at('none.vmdk'), at('x.vmdk'));
  assert.deepEqual([missing.code, /none\.vmdk/.test(missing.errors)], [4, true]);
});

test('a source that is gone in part, was cut short or ends amid the work is named, and there is no target', async (t) => {
  const { folder, raw, image, at } = await imageIn(t);
  const refused = async (source: string, words: RegExp, input?: Buffer) => {
    const before = (await readdir(folder)).sort();
    for (const [target, kind] of [
      ['x.vmdk', 'streamOptimized'],
      ['x.vmdk', 'vmfs'],
      ['x.raw', 'raw'],
    ] as const) {
      const args = [source, at(target), '--to', kind];
      const { code, errors } = input === undefined ? await hypo(...args) : await piped(input, ...args);
      assert.ok(code === 1 || code === 4, `${code} ${errors}`);
      assert.match(errors, words, kind);
      assert.deepEqual((await readdir(folder)).sort(), before, kind);
    }
  };
  const make = async (name: string, kind: string) => {
    const { code, errors } = await hypo(raw, at(name), '--to', kind);
    assert.equal(code, 0, errors);
  };
  await make('split.vmdk', 'twoGbMaxExtentFlat');
  await truncate(at('split-f001.vmdk'), mebibyte);
  await refused(at('split.vmdk'), /split-f001\.vmdk/);
  await rm(at('split-f001.vmdk'));
  await refused(at('split.vmdk'), /split-f001\.vmdk/);
  await make('stream.vmdk', 'streamOptimized');
  const stream = await readFile(at('stream.vmdk'));
  await truncate(at('stream.vmdk'), stream.length / 2);
  await refused(at('stream.vmdk'), /stream\.vmdk/);
  await refused('-', /ends|cut off|truncat/i, stream.subarray(0, stream.length / 2));
  assert.ok((await readFile(raw)).equals(image));
});
