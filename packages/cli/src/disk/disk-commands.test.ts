import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, open, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { createSparseDisk, openDisk, openNbdDisk } from '@hypostyle/vmdk';
import { run } from '../run.ts';
import { memoryContext } from '../testing/memory-terminal.ts';
import { writeSmallPackage } from '../testing/small-package.ts';

const mebibyte = 2 ** 20;

async function hypo(...args: string[]) {
  const memory = memoryContext();
  const code = await run(['disk', ...args], memory.context);
  return { code, output: memory.output(), errors: memory.errors() };
}

async function hypoJson(...args: string[]): Promise<unknown> {
  const { code, output, errors } = await hypo(...args, '--json');
  assert.equal(code, 0, errors);
  return JSON.parse(output);
}

/** A base of 4 MiB with data at 1 MiB, and a child with data at 2 MiB. */
async function chain(t: TestContext) {
  const folder = await mkdtemp(join(tmpdir(), 'hypostyle-disk-'));
  t.after(() => rm(folder, { recursive: true }));
  const [base, top] = [join(folder, 'base.vmdk'), join(folder, 'top.vmdk')];
  await createSparseDisk({ path: base, virtualBytes: 4 * mebibyte });
  const write = async (path: string, at: number) => {
    const disk = await openDisk(path, { writable: true });
    await disk.write(at, Buffer.alloc(65536, 5));
    await disk.close();
  };
  await write(base, mebibyte);
  const contentId = (await openDisk(base).then((disk) => disk.close().then(() => disk.descriptor)))?.contentId ?? 0;
  await createSparseDisk({
    path: top,
    virtualBytes: 4 * mebibyte,
    parent: { contentId, fileNameHint: 'base.vmdk' },
  });
  await write(top, 2 * mebibyte);
  return { folder, base, top, write };
}

test('info tells kind, size, parents and files', async (t) => {
  const { top, base } = await chain(t);
  const { code, output } = await hypo('info', top);
  assert.equal(code, 0);
  assert.match(output, /kind +monolithicSparse/);
  assert.match(output, /size +4 MiB \(4194304 bytes\)/);
  assert.match(output, /parent +base\.vmdk/);
  const facts = (await hypoJson('info', top)) as { virtualBytes: number; parents: { path: string }[] };
  assert.equal(facts.virtualBytes, 4 * mebibyte);
  assert.deepEqual(
    facts.parents.map(({ path }) => path),
    [base],
  );
});

test('info of a disk in an archive, and of one that is not there', async (t) => {
  const { folder } = await chain(t);
  const { ova } = await writeSmallPackage(folder, Buffer.alloc(65536, 3));
  const facts = (await hypoJson('info', ova)) as { kind: string; member: string; virtualBytes: number };
  assert.deepEqual([facts.kind, facts.member, facts.virtualBytes], ['streamOptimized', 'disk.vmdk', 4 * mebibyte]);
  assert.deepEqual(await hypoJson('info', `${ova}/disk.vmdk`), facts);
  const missing = await hypo('info', `${ova}/other.vmdk`);
  assert.equal(missing.code, 4);
  assert.match(missing.errors, /disk\.vmdk/);
  assert.equal((await hypo('info', join(folder, 'nothing.vmdk'))).code, 4);
  await writeFile(join(folder, 'text.vmdk'), 'hello');
  const other = await hypo('info', join(folder, 'text.vmdk'));
  assert.equal(other.code, 1);
  assert.match(other.errors, /is not a VMDK/);
});

test('map tells which disk of a chain has what', async (t) => {
  const { top, base, folder } = await chain(t);
  assert.deepEqual(await hypoJson('map', top), [
    { offset: 0, length: mebibyte, state: 'unallocated' },
    { offset: mebibyte, length: 65536, state: 'data', file: base },
    { offset: mebibyte + 65536, length: mebibyte - 65536, state: 'unallocated' },
    { offset: 2 * mebibyte, length: 65536, state: 'data', file: top },
    { offset: 2 * mebibyte + 65536, length: 2 * mebibyte - 65536, state: 'unallocated' },
  ]);
  assert.match((await hypo('map', top)).output, /1048576 +65536 +64 KiB +data +.*base\.vmdk/);
  const { ova } = await writeSmallPackage(folder, Buffer.alloc(65536, 3));
  const [first] = (await hypoJson('map', ova)) as { state: string }[];
  assert.equal(first?.state, 'data');
});

test('snapshot-chain ends with 1 where a parent was changed, and says which', async (t) => {
  const { top, base, write } = await chain(t);
  const sound = await hypo('snapshot-chain', top);
  assert.equal(sound.code, 0);
  assert.match(sound.output, /0 +.*top\.vmdk.*ok\n1 +.*base\.vmdk.*ok/);
  await write(base, 0);
  const broken = await hypo('snapshot-chain', top);
  assert.equal(broken.code, 1);
  assert.match(broken.output, /base\.vmdk.*changed: its child expects/);
  const map = await hypo('map', top);
  assert.equal(map.code, 1);
  assert.match(map.errors, /snapshot-chain/);
});

test('serve exports a disk until it is stopped, with what changed', async (t) => {
  const { top, folder } = await chain(t);
  const changes = join(folder, 'monday.json');
  await writeFile(changes, JSON.stringify([{ offset: 512, length: 1024 }]));
  const memory = memoryContext();
  const stop = new AbortController();
  const socketPath = join(folder, 'nbd');
  const args = [
    'disk',
    'serve',
    top,
    '--socket',
    socketPath,
    '--name',
    'web',
    '--since',
    changes,
    '--writable',
    '--json',
  ];
  const served = run(args, { ...memory.context, signal: stop.signal });
  await once(memory.context.terminal.output, 'readable');
  const { uri } = JSON.parse(memory.output()) as { uri: string };
  assert.equal(uri, `nbd+unix:///web?socket=${socketPath}`);
  assert.equal(((await hypoJson('info', uri)) as { virtualBytes: number }).virtualBytes, 4 * mebibyte);
  const changed = (await hypoJson('map', uri, '--changes', 'monday')) as { offset: number; state: string }[];
  assert.deepEqual(changed[1], { offset: 512, length: 1024, state: 'changed' });
  const disk = await openNbdDisk({ socketPath }, 'web', { writable: true });
  await disk.write(0, Buffer.from('here'));
  await disk.close();
  stop.abort(new Error('stopped'));
  assert.equal(await served, 0);
  const after = await openDisk(top);
  assert.equal((await after.read(0, 4)).toString(), 'here');
  await after.close();
});

test('serve refuses what is not safe or not clear', async (t) => {
  const { top, folder } = await chain(t);
  assert.equal((await hypo('serve', top)).code, 2);
  assert.equal((await hypo('serve', top, '--port', 'x')).code, 2);
  const open = await hypo('serve', top, '--port', '0', '--bind', '0.0.0.0');
  assert.equal(open.code, 1);
  assert.match(open.errors, /without TLS/);
  const changes = join(folder, 'bad.json');
  await writeFile(changes, '{"a": 1}');
  assert.equal((await hypo('serve', top, '--port', '0', '--since', changes)).code, 1);
});

test('compare ends with 0, 1 and 2', async (t) => {
  const { top, base, folder } = await chain(t);
  const same = await hypo('compare', top, top);
  assert.equal(same.code, 0);
  assert.match(same.output, /are the same: 4 MiB/);
  const different = await hypo('compare', top, base);
  assert.equal(different.code, 1);
  assert.match(different.output, /first at byte 2097152[\s\S]*2097152 +65536/);
  const trouble = await hypo('compare', top, join(folder, 'nothing.vmdk'));
  assert.equal(trouble.code, 2);
  assert.match(trouble.errors, /nothing\.vmdk/);
  const json = JSON.parse((await hypo('compare', top, base, '--json')).output) as { same: boolean };
  assert.equal(json.same, false);
  await createSparseDisk({ path: join(folder, 'large.vmdk'), virtualBytes: 5 * mebibyte });
  await createSparseDisk({ path: join(folder, 'small.vmdk'), virtualBytes: 4 * mebibyte });
  const sizes = [join(folder, 'small.vmdk'), join(folder, 'large.vmdk')];
  assert.equal((await hypo('compare', ...sizes)).code, 0);
  assert.equal((await hypo('compare', ...sizes, '--strict')).code, 1);
});

test('a chain is made, rebased, consolidated, committed and flattened, with its content kept', async (t) => {
  const { folder } = await chain(t);
  const at = (name: string) => join(folder, name);
  const well = async (...args: string[]) => {
    const { code, errors } = await hypo(...args);
    assert.equal(code, 0, `${args.join(' ')}: ${errors}`);
  };
  const write = async (name: string, offset: number) => {
    const disk = await openDisk(at(name), { writable: true });
    await disk.write(offset, Buffer.alloc(1000, 9));
    await disk.close();
  };
  await well('create', at('one.vmdk'), '3M', '--kind', 'monolithicSparse');
  await write('one.vmdk', 0);
  await well('create', at('two.vmdk'), '--parent', at('one.vmdk'));
  await write('two.vmdk', mebibyte);
  await well('create', at('three.vmdk'), '--parent', at('two.vmdk'));
  await write('three.vmdk', 2 * mebibyte);
  await well('flatten', at('three.vmdk'), at('copy.vmdk'));
  const same = () => well('compare', at('three.vmdk'), at('copy.vmdk'));
  await same();
  assert.equal((await hypo('commit', at('two.vmdk'))).code, 1);
  await well('consolidate', at('two.vmdk'));
  await same();
  await well('rebase', at('three.vmdk'), '--alone');
  await same();
  await well('rebase', at('three.vmdk'), '--parent', at('one.vmdk'));
  await same();
  await well('commit', at('three.vmdk'));
  await well('compare', at('one.vmdk'), at('copy.vmdk'));
  assert.equal((await hypo('create', at('one.vmdk'), '1M')).code, 1, 'nothing is overwritten');
  assert.equal((await hypo('create', at('x.vmdk'))).code, 2);
  assert.equal((await hypo('create', at('x.vmdk'), 'much')).code, 2);
  assert.equal((await hypo('rebase', at('one.vmdk'))).code, 2);
});

test('check tells what is wrong, and repair repairs it', async (t) => {
  const { top, base, folder } = await chain(t);
  const sound = await hypo('check', top, base);
  assert.equal(sound.code, 0);
  assert.match(sound.output, /top\.vmdk: sound\n.*base\.vmdk: sound/);
  // As a killed writer leaves it.
  const file = await open(base, 'r+');
  await file.write(Buffer.of(1), 0, 1, 72);
  await file.close();
  const unclean = await hypo('check', base);
  assert.equal(unclean.code, 0, 'a warning is no error');
  assert.match(unclean.output, /did not close it.*hypo disk repair/);
  const refused = await hypo('serve', base, '--writable', '--port', '0');
  assert.equal(refused.code, 1);
  assert.match(refused.errors, /hypo disk repair/);
  const repaired = await hypo('repair', base);
  assert.equal(repaired.code, 0);
  assert.match(repaired.output, /Repaired:[\s\S]*sound/);
  assert.match((await hypo('repair', base)).output, /Nothing was repaired/);
  await truncate(base, 70_000);
  assert.equal((await hypo('check', base)).code, 1);
  assert.equal((await hypo('repair', base)).code, 1);
  assert.equal((await hypo('check', join(folder, 'nothing.vmdk'))).code >= 1, true);
});

test('a disk grows, shrinks, and takes and gives room', async (t) => {
  const { folder } = await chain(t);
  const disk = join(folder, 'flat.vmdk');
  assert.equal((await hypo('create', disk, '2M')).code, 0);
  assert.deepEqual(await hypoJson('grow', disk, '+1M'), { path: disk, virtualBytes: 3 * mebibyte });
  assert.equal((await hypo('grow', disk, '1M')).code, 2);
  assert.equal((await hypo('shrink', disk, '4M')).code, 2);
  assert.deepEqual(await hypoJson('shrink', disk, '2M'), { path: disk, virtualBytes: 2 * mebibyte });
  const thick = (await hypoJson('thick', disk, '--eager')) as { storedBytes: number };
  assert.ok(thick.storedBytes >= 2 * mebibyte);
  const thin = (await hypoJson('thin', disk)) as { storedBytes: number };
  assert.ok(thin.storedBytes < mebibyte);
});

test('a raw image is a disk as well', async (t) => {
  const { folder } = await chain(t);
  const raw = join(folder, 'disk.img');
  await writeFile(raw, Buffer.alloc(mebibyte, 5));
  const facts = (await hypoJson('info', raw)) as { kind: string; virtualBytes: number };
  assert.deepEqual([facts.kind, facts.virtualBytes], ['raw', mebibyte]);
  assert.match((await hypo('map', raw)).output, /1048576/);
  assert.equal((await hypo('compare', raw, raw)).code, 0);
});
