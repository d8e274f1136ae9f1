import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { VimFault } from '@hypostyle/vim';
import fc from 'fast-check';
import { BundleDamage } from './bundle-damage.ts';
import { type Bundle, type BundleEntry, mostEntries } from './bundle-entry.ts';
import { contentEntry, fileBundle, folderEntry } from './file-bundle.ts';
import { type BundleEvent, readBundle } from './read-bundle.ts';
import { receiveBundle } from './receive-bundle.ts';
import { writeBundle } from './write-bundle.ts';

const never = new AbortController().signal;

async function bytesOf(bundle: Bundle): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const piece of writeBundle(bundle, never)) parts.push(Buffer.from(piece));
  return Buffer.concat(parts);
}

/** The bytes in pieces of some length. */
async function* pieces(bytes: Uint8Array, length = 1_000): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += length) yield bytes.subarray(at, at + length);
}

async function eventsOf(bytes: Uint8Array, length?: number): Promise<BundleEvent[]> {
  const events: BundleEvent[] = [];
  for await (const event of readBundle(pieces(bytes, length)))
    events.push(event.kind === 'data' ? { ...event, data: Buffer.from(event.data) } : event);
  return events;
}

const sample: readonly BundleEntry[] = [
  folderEntry(''),
  contentEntry('a.vmx', Buffer.from('name = "a"')),
  {
    path: 'a-flat.vmdk',
    kind: 'file',
    size: 3_000_000,
    async *content() {
      yield { offset: 100, data: Buffer.from('first') };
      yield { offset: 1_500_000, data: Buffer.alloc(1_400_000, 7) };
    },
  },
  folderEntry('logs'),
  contentEntry('logs/empty.log', Buffer.alloc(0)),
];
const bundle: Bundle = { storedBytes: 4096, entries: sample };

async function folder(t: { after(work: () => Promise<void>): void }) {
  const directory = await mkdtemp(join(tmpdir(), 'hypo-bundle-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return { name: 'ds', directory };
}

const options = { overwrite: false, hidden: false, signal: never };

test('files and folders come as they were, without their holes on the way', async (t) => {
  const root = await folder(t);
  const bytes = await bytesOf(bundle);
  assert.ok(bytes.length < 1_410_000, `${bytes.length}`);
  await receiveBundle(root, 'web', pieces(bytes), options);
  assert.deepEqual((await readdir(join(root.directory, 'web'), { recursive: true })).sort(), [
    'a-flat.vmdk',
    'a.vmx',
    'logs',
    'logs/empty.log',
  ]);
  const flat = await readFile(join(root.directory, 'web/a-flat.vmdk'));
  assert.equal(flat.length, 3_000_000);
  assert.equal(flat.subarray(100, 105).toString(), 'first');
  assert.ok(flat.subarray(105, 1_500_000).every((byte) => byte === 0));
  assert.ok(flat.subarray(1_500_000, 2_900_000).every((byte) => byte === 7));
  const again = await bytesOf(await fileBundle(root, 'web'));
  await receiveBundle(root, 'twin', pieces(again, 70_001), options);
  assert.ok(flat.equals(await readFile(join(root.directory, 'twin/a-flat.vmdk'))));
  const { blocks } = await stat(join(root.directory, 'twin/a-flat.vmdk'));
  assert.ok(blocks * 512 < 2_000_000, 'holes stay holes');
});

test('whatever is changed or cut off on the way is found out, and nothing of it stays', async (t) => {
  const root = await folder(t);
  const bytes = await bytesOf(bundle);
  await fc.assert(
    fc.asyncProperty(
      fc.nat({ max: bytes.length - 1 }),
      fc.integer({ min: 1, max: 255 }),
      fc.boolean(),
      async (at, change, cut) => {
        const changed = cut ? bytes.subarray(0, at) : Buffer.from(bytes);
        if (!cut) changed[at] = (changed[at] ?? 0) ^ change;
        await assert.rejects(eventsOf(changed, 300_000), BundleDamage);
      },
    ),
    { numRuns: 40 },
  );
  await assert.rejects(
    receiveBundle(root, 'web', pieces(bytes.subarray(0, -1)), options),
    (error) => (error as VimFault).type === 'IncorrectFileType',
  );
  assert.deepEqual(await readdir(root.directory), []);
});

test('random bytes are no bundle, and say so', async () => {
  const start = (await bytesOf(bundle)).subarray(0, 8);
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 400 }), fc.boolean(), async (random, begins) => {
      await assert.rejects(eventsOf(begins ? Buffer.concat([start, random]) : random), BundleDamage);
    }),
    { numRuns: 60 },
  );
});

test('paths lead nowhere else, and to nothing that is kept for the service, unless that is let', async (t) => {
  const root = await folder(t);
  const receive = async (entries: readonly BundleEntry[], more: object = {}) =>
    receiveBundle(root, 'web', pieces(await bytesOf({ storedBytes: 0, entries })), { ...options, ...more });
  for (const path of ['../x', '/x', 'a/../../x', 'a//b', 'x/y', '', '.', 'a\\b', 'a\u0000b'])
    await assert.rejects(
      receive([folderEntry(''), contentEntry(path, Buffer.from('x'))]),
      (error) => ['IncorrectFileType', 'InvalidDatastorePath'].includes((error as VimFault).type),
      path,
    );
  const own = [folderEntry(''), folderEntry('.hypo'), contentEntry('.hypo/vapp.json', Buffer.from('{}'))];
  await assert.rejects(receive(own), (error) => (error as VimFault).type === 'InvalidDatastorePath');
  assert.deepEqual(await readdir(root.directory), []);
  await receive(own, { hidden: true });
  assert.equal(await readFile(join(root.directory, 'web/.hypo/vapp.json'), 'utf8'), '{}');
  await assert.rejects(receive(own, { hidden: true }), (error) => (error as VimFault).type === 'FileAlreadyExists');
  assert.ok(mostEntries > 1_000);
});

test('a file takes the place of another where that is let; a folder never; who gives up leaves nothing', async (t) => {
  const root = await folder(t);
  await writeFile(join(root.directory, 'a.iso'), 'old');
  await mkdir(join(root.directory, 'kept'));
  const file = { storedBytes: 3, entries: [contentEntry('', Buffer.from('new'))] };
  const there = (error: unknown) => (error as VimFault).type === 'FileAlreadyExists';
  await assert.rejects(receiveBundle(root, 'a.iso', pieces(await bytesOf(file)), options), there);
  await receiveBundle(root, 'a.iso', pieces(await bytesOf(file)), { ...options, overwrite: true });
  assert.equal(await readFile(join(root.directory, 'a.iso'), 'utf8'), 'new');
  await assert.rejects(
    receiveBundle(root, 'kept', pieces(await bytesOf(bundle)), { ...options, overwrite: true }),
    there,
  );
  const stop = new AbortController();
  const bytes = await bytesOf(bundle);
  const slow = async function* () {
    yield bytes.subarray(0, 1_000_000);
    stop.abort(new Error('given up'));
    yield bytes.subarray(1_000_000);
  };
  await assert.rejects(receiveBundle(root, 'web', slow(), { ...options, signal: stop.signal }), /given up/);
  const vast = { storedBytes: 2 ** 45, entries: [contentEntry('', Buffer.from('x'))] };
  await assert.rejects(
    receiveBundle(root, 'vast', pieces(await bytesOf(vast)), options),
    (error) => (error as VimFault).type === 'NoDiskSpace',
  );
  assert.deepEqual((await readdir(root.directory)).sort(), ['a.iso', 'kept']);
});

test('a disk that is to have all its room has it', async (t) => {
  const root = await folder(t);
  const full: BundleEntry = {
    path: '',
    kind: 'file',
    size: 2_500_000,
    full: true,
    async *content() {
      yield { offset: 1_200_000, data: Buffer.from('here') };
    },
  };
  await receiveBundle(root, 'thick', pieces(await bytesOf({ storedBytes: 0, entries: [full] })), options);
  const path = join(root.directory, 'thick');
  assert.ok((await stat(path)).blocks * 512 >= 2_500_000);
  assert.equal((await readFile(path)).subarray(1_200_000, 1_200_004).toString(), 'here');
});
