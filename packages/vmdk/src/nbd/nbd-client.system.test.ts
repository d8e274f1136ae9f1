import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { collect, imageOf, patterned, temporaryFolder } from '../testing.ts';
import { listNbdExports, openNbdDisk } from './open-nbd-disk.ts';
import { foreignServer } from './testing.ts';

const run = promisify(execFile);
const missing = ['qemu-nbd', 'qemu-storage-daemon', 'nbdkit'].filter(
  (command) => spawnSync(command, ['--version']).status !== 0,
);
const skip =
  missing.length === 0 ? false : `${missing.join(', ')} not installed: node scripts/debian-packages.mjs run tests`;

/** 5 MiB: data, a hole of 1 MiB from 2 MiB, and an end that is no whole block. */
const image = patterned(5 * 2 ** 20 + 512, 2 ** 20, [2, 1, 0, 2]);

test('reads, maps and writes an export of qemu-nbd', { skip }, async (t) => {
  const folder = await temporaryFolder(t);
  const [raw, qcow, socketPath] = ['raw', 'disk.qcow2', 'nbd'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  await writeFile(raw, image);
  await run('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', raw, qcow]);
  await foreignServer(t, socketPath, 'qemu-nbd', [
    '-t',
    '-e',
    '4',
    '-x',
    'a disk',
    '-f',
    'qcow2',
    '-k',
    socketPath,
    qcow,
  ]);
  assert.deepEqual(await listNbdExports({ socketPath }), ['a disk']);
  await assert.rejects(openNbdDisk({ socketPath }, 'another'), { code: 'nbd-refused' });
  const disk = await openNbdDisk({ socketPath }, 'a disk', { writable: true });
  assert.equal(disk.virtualBytes, image.length);
  assert.ok(image.equals(await disk.read(0, image.length)));
  assert.deepEqual(await imageOf(image.length, disk.blocks()), image);
  assert.deepEqual(await collect(disk.map({ length: 3 * 2 ** 20 })), [
    { offset: 0, length: 2 ** 21, state: 'data' },
    { offset: 2 ** 21, length: 2 ** 20, state: 'unallocated' },
  ]);
  assert.deepEqual(await collect(disk.map({ offset: 2 ** 21 + 700, length: 33 })), [
    { offset: 2 ** 21 + 700, length: 33, state: 'unallocated' },
  ]);
  const expected = Buffer.from(image);
  for (const [offset, length] of [
    [1, 3],
    [2 ** 20 - 5, 2 ** 21 + 10],
    [image.length - 9, 9],
  ] as const) {
    const data = patterned(length, length, [2]);
    data.copy(expected, offset);
    await disk.write(offset, data);
  }
  await disk.trim(2 ** 20 + 77, 2 ** 20);
  expected.fill(0, 2 ** 20 + 77, 2 ** 21 + 77);
  assert.ok(expected.equals(await disk.read(0, expected.length)));
  await assert.rejects(disk.read(image.length, 1), { code: 'out-of-range' });
  await disk.close();
  await assert.rejects(disk.read(0, 1), { code: 'nbd-closed' });
  const reader = await openNbdDisk({ socketPath }, 'a disk');
  await assert.rejects(reader.write(0, Buffer.alloc(1)), { code: 'read-only' });
  await reader.close();
  await run('qemu-img', ['convert', '-f', 'raw', '-O', 'raw', `nbd+unix:///a%20disk?socket=${socketPath}`, raw]);
  assert.ok(expected.equals(await readFile(raw)));
});

test('a read-only export is refused for writing', { skip }, async (t) => {
  const folder = await temporaryFolder(t);
  const [raw, socketPath] = [join(folder, 'raw'), join(folder, 'nbd')];
  await writeFile(raw, image);
  await foreignServer(t, socketPath, 'qemu-nbd', ['-t', '-r', '-f', 'raw', '-k', socketPath, raw]);
  await assert.rejects(openNbdDisk({ socketPath }, '', { writable: true }), { code: 'read-only' });
});

test('tells the change map of qemu-storage-daemon', { skip }, async (t) => {
  const folder = await temporaryFolder(t);
  const [qcow, socketPath] = [join(folder, 'disk.qcow2'), join(folder, 'nbd')];
  await run('qemu-img', ['create', '-q', '-f', 'qcow2', qcow, '8M']);
  await run('qemu-img', ['bitmap', '--add', '-g', '65536', qcow, 'since']);
  await run('qemu-io', ['-f', 'qcow2', '-c', 'write 1M 100k', '-c', 'write 8191k 1k', qcow]);
  await foreignServer(t, socketPath, 'qemu-storage-daemon', [
    ...['--blockdev', `qcow2,node-name=disk,file.driver=file,file.filename=${qcow}`],
    ...['--nbd-server', `addr.type=unix,addr.path=${socketPath},max-connections=0`],
    ...['--export', 'nbd,id=e,node-name=disk,name=disk,bitmaps.0=since,writable=on'],
  ]);
  const disk = await openNbdDisk({ socketPath }, 'disk', { changeMaps: ['since', 'other'] });
  assert.deepEqual(disk.changeMaps, ['since']);
  assert.deepEqual(await collect(disk.changes('since')), [
    { offset: 0, length: 2 ** 20, changed: false },
    { offset: 2 ** 20, length: 131072, changed: true },
    { offset: 2 ** 20 + 131072, length: 8 * 2 ** 20 - 2 ** 20 - 131072 - 65536, changed: false },
    { offset: 8 * 2 ** 20 - 65536, length: 65536, changed: true },
  ]);
  await assert.rejects(collect(disk.changes('other')), { code: 'change-map-missing' });
  await disk.close();
});

test('reads a disk of many holes of nbdkit, of 1 TiB', { skip }, async (t) => {
  const folder = await temporaryFolder(t);
  const socketPath = join(folder, 'nbd');
  await foreignServer(t, socketPath, 'nbdkit', [
    ...['-f', '--exit-with-parent', '-U', socketPath, 'data'],
    ...['size=1T', 'data=(0x55*100000) @0x4000000000 (0x66*512) @0xfffffffe00 0x77*512'],
  ]);
  const disk = await openNbdDisk({ socketPath }, '');
  assert.equal(disk.virtualBytes, 2 ** 40);
  const found = await collect(disk.map());
  assert.equal(
    found.reduce((sum, { length }) => sum + length, 0),
    disk.virtualBytes,
  );
  const blocks = await collect(disk.blocks());
  assert.equal(blocks[0]?.offset, 0);
  assert.equal(blocks.at(-1)?.data.at(-1), 0x77);
  await disk.close();
});

test('writes of any offset and length to a server of large blocks equal a model', { skip }, async (t) => {
  const folder = await temporaryFolder(t);
  const socketPath = join(folder, 'nbd');
  await foreignServer(t, socketPath, 'nbdkit', [
    ...['-f', '--exit-with-parent', '-U', socketPath, '--filter=blocksize-policy', 'memory', 'size=262144'],
    ...[
      'blocksize-minimum=4096',
      'blocksize-preferred=4096',
      'blocksize-maximum=16384',
      'blocksize-error-policy=error',
    ],
  ]);
  const disk = await openNbdDisk({ socketPath }, '', { writable: true });
  const model = await disk.read(0, disk.virtualBytes);
  const step = fc.record({
    kind: fc.constantFrom('write', 'trim', 'read'),
    offset: fc.nat(disk.virtualBytes - 1),
    length: fc.nat(40_000),
    byte: fc.integer({ min: 1, max: 255 }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 20 }), async (steps) => {
      for (const { kind, offset, length, byte } of steps) {
        const reach = Math.min(length, model.length - offset);
        if (kind === 'write') {
          model.fill(byte, offset, offset + reach);
          await disk.write(offset, Buffer.alloc(reach, byte));
        } else if (kind === 'trim') {
          model.fill(0, offset, offset + reach);
          await disk.trim(offset, reach);
        } else assert.ok(model.subarray(offset, offset + reach).equals(await disk.read(offset, reach)));
      }
      assert.ok(model.equals(await disk.read(0, model.length)));
    }),
    { numRuns: 20 },
  );
  await disk.close();
});

test('a server that is killed ends what is under way', { skip }, async (t) => {
  const folder = await temporaryFolder(t);
  const socketPath = join(folder, 'nbd');
  const child = await foreignServer(t, socketPath, 'nbdkit', [
    ...['-f', '--exit-with-parent', '-U', socketPath, '--filter=delay', 'memory', 'size=1M', 'rdelay=60'],
  ]);
  const disk = await openNbdDisk({ socketPath }, '');
  const reading = assert.rejects(disk.read(0, 2 ** 20), { code: 'nbd-closed' });
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await reading;
  await disk.close();
  // It lets go of its connections before it lets go of its socket.
  await exited;
  await assert.rejects(openNbdDisk({ socketPath }, ''), { code: 'nbd-unreachable' });
});
