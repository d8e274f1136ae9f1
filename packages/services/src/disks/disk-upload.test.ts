import assert from 'node:assert/strict';
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { openDisk } from '@hypostyle/vmdk';
import fc from 'fast-check';
import { collect, everything, faultOf, streamOf, temporaryDatastore } from '../testing/datastore-fixture.ts';
import { noEngine } from '../testing/no-engine.ts';
import { provideDisk } from './disk-download.ts';
import { receiveDisk } from './disk-upload.ts';

const never = new AbortController().signal;
const mebibyte = 1_048_576;

function image(bytes: number): Buffer {
  const content = Buffer.alloc(bytes);
  content.fill('boot', 0, 70_000);
  content.fill('tail', bytes - 5000);
  return content;
}

test('a stream becomes a flat disk with its descriptor, and goes out again the same', async (t) => {
  const root = await temporaryDatastore(t);
  await mkdir(join(root.directory, 'web'));
  const content = image(4 * mebibyte);
  await receiveDisk(
    streamOf(content),
    { root, path: 'web/web.vmdk', capacityBytes: content.length, provisioning: 'thin' },
    { signal: never },
  );
  assert.deepEqual(await everything(root), ['web', 'web/web-flat.vmdk', 'web/web.vmdk']);
  assert.ok((await readFile(join(root.directory, 'web/web-flat.vmdk'))).equals(content));
  const descriptor = await readFile(join(root.directory, 'web/web.vmdk'), 'utf8');
  assert.match(descriptor, /createType="vmfs"/);
  assert.match(descriptor, /RW 8192 VMFS "web-flat.vmdk"/);
  assert.match(descriptor, /ddb.thinProvisioned = "1"/);
  const sparse = await stat(join(root.directory, 'web/web-flat.vmdk'));
  assert.ok(sparse.blocks * 512 < content.length / 2, 'holes stay holes');

  await receiveDisk(
    provideDisk({ root, path: 'web/web.vmdk', ...noEngine }, never),
    { root, path: 'web/copy.vmdk', capacityBytes: content.length, provisioning: 'thin' },
    { signal: never },
  );
  const disk = await openDisk(join(root.directory, 'web/copy.vmdk'));
  assert.ok((await disk.read(0, content.length)).equals(content));
  await disk.close();
});

test('thick takes its space, gzip is undone, and a small disk grows to its size', async (t) => {
  const root = await temporaryDatastore(t);
  const content = image(2 * mebibyte);
  async function* zipped() {
    yield gzipSync(await collect(streamOf(content)));
  }
  await receiveDisk(
    zipped(),
    { root, path: 'a.vmdk', capacityBytes: 3 * mebibyte, provisioning: 'thick', gzip: true },
    { signal: never },
  );
  const flat = await stat(join(root.directory, 'a-flat.vmdk'));
  assert.equal(flat.size, 3 * mebibyte);
  assert.ok(flat.blocks * 512 >= 3 * mebibyte);
  const bytes = await readFile(join(root.directory, 'a-flat.vmdk'));
  assert.ok(bytes.subarray(0, content.length).equals(content));
  assert.doesNotMatch(await readFile(join(root.directory, 'a.vmdk'), 'utf8'), /thinProvisioned/);
});

test('what fails leaves nothing', async (t) => {
  const root = await temporaryDatastore(t);
  const content = image(mebibyte);
  const upload = { root, path: 'a.vmdk', capacityBytes: content.length, provisioning: 'thin' } as const;
  const whole = await collect(streamOf(content));
  async function* pieces(...parts: Uint8Array[]) {
    yield* parts;
  }
  const controller = new AbortController();
  async function* aborting() {
    yield whole.subarray(0, 20_000);
    controller.abort(new Error('client gone'));
    yield whole.subarray(20_000);
  }
  const attempts = [
    [receiveDisk(pieces(whole.subarray(0, -3000)), upload, { signal: never }), faultOf('IncorrectFileType')],
    [receiveDisk(pieces(Buffer.from('not a disk')), upload, { signal: never }), faultOf('IncorrectFileType')],
    [receiveDisk(pieces(whole), { ...upload, gzip: true }, { signal: never }), faultOf('IncorrectFileType')],
    [receiveDisk(pieces(whole), { ...upload, capacityBytes: 65_536 }, { signal: never }), faultOf('IncorrectFileType')],
    [receiveDisk(pieces(whole), { ...upload, path: 'none/a.vmdk' }, { signal: never }), faultOf('FileNotFound')],
    [receiveDisk(pieces(whole), { ...upload, path: '../a.vmdk' }, { signal: never }), faultOf('InvalidDatastorePath')],
    [receiveDisk(pieces(whole), { ...upload, path: 'a.vmx' }, { signal: never }), faultOf('InvalidDatastorePath')],
    [receiveDisk(pieces(whole), upload, { signal: never, contentLength: 2 ** 52 }), faultOf('NoDiskSpace')],
    [
      receiveDisk(pieces(whole), { ...upload, capacityBytes: 2 ** 52, provisioning: 'thick' }, { signal: never }),
      faultOf('NoDiskSpace'),
    ],
    [receiveDisk(aborting(), upload, { signal: controller.signal }), /client gone/],
  ] as const;
  await Promise.all(attempts.map(([attempt, expected]) => assert.rejects(attempt, expected)));
  assert.deepEqual(await everything(root), []);
  await writeFile(join(root.directory, 'a.vmdk'), 'mine');
  await assert.rejects(receiveDisk(pieces(whole), upload, { signal: never }), faultOf('FileAlreadyExists'));
  assert.equal(await readFile(join(root.directory, 'a.vmdk'), 'utf8'), 'mine');
  await receiveDisk(pieces(whole), { ...upload, replace: true }, { signal: never });
  assert.deepEqual(await everything(root), ['a-flat.vmdk', 'a.vmdk']);
});

test('damaged streams are faults, and leave nothing', async (t) => {
  const root = await temporaryDatastore(t);
  const whole = await collect(streamOf(image(mebibyte)));
  const upload = { root, path: 'a.vmdk', capacityBytes: mebibyte, provisioning: 'thin', replace: true } as const;
  await fc.assert(
    fc.asyncProperty(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 255 }), async (at, change) => {
      const damaged = Buffer.from(whole);
      damaged[at] = (damaged[at] ?? 0) ^ change;
      async function* body() {
        yield damaged;
      }
      try {
        await receiveDisk(body(), upload, { signal: never });
      } catch (error) {
        assert.ok(faultOf('IncorrectFileType')(error), String(error));
      }
      assert.ok((await everything(root)).every((name) => !name.endsWith('.partial')));
    }),
    { numRuns: 60 },
  );
});
