import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { run } from '../packages/cli/src/run.ts';
import { memoryContext } from '../packages/cli/src/testing/memory-terminal.ts';
import { descriptorOf } from './harness/package-files.ts';

// libguestfs and virt-v2v read what we write. `node scripts/debian-packages.mjs guestfs` installs them.
const execute = promisify(execFile);
const mebibyte = 2 ** 20;
const imageBytes = 16 * mebibyte;
const missing = ['guestfish', 'virt-v2v'].filter((name) => spawnSync(name, ['--version']).error !== undefined);
const skip =
  missing.length > 0 ? `${missing.join(' and ')} is not installed: node scripts/debian-packages.mjs guestfs` : false;
const content = createHash('shake256', { outputLength: 300_000 }).update('a file of the guest').digest();
/** Their own small system runs on any computer: KVM may be there and not work. */
const environment = { ...process.env, LIBGUESTFS_BACKEND: 'direct', LIBGUESTFS_BACKEND_SETTINGS: 'force_tcg' };

let folder: string;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hypostyle-guestfs-'));
  if (skip !== false) return;
  // A file system with a file in it, made without a mount.
  await mkdir(join(folder, 'root'));
  await writeFile(join(folder, 'root', 'content'), content);
  await execute('truncate', ['-s', String(imageBytes), join(folder, 'fs.raw')]);
  await execute('/sbin/mkfs.ext4', ['-q', '-d', join(folder, 'root'), join(folder, 'fs.raw')]);
});

after(() => rm(folder, { recursive: true, force: true }));

async function hypo(...args: string[]): Promise<void> {
  const memory = memoryContext({ HYPOSTYLE_HOME: join(folder, 'home') });
  assert.equal(await run(args, memory.context), 0, `${args.join(' ')}: ${memory.errors()}`);
}

// It boots a system of its own, so not at every run.
const skipBoot =
  skip !== false || process.env.HYPOSTYLE_WHOLE !== undefined
    ? skip
    : 'guestfish boots a system of its own, which takes minutes: npm run test:clients runs it';

test('guestfish finds the same file system in every kind of disk', { skip: skipBoot }, async () => {
  const kinds = ['streamOptimized', 'monolithicSparse', 'monolithicFlat', 'twoGbMaxExtentSparse', 'vmfs'];
  for (const kind of kinds)
    await hypo('disk', 'convert', join(folder, 'fs.raw'), join(folder, `${kind}.vmdk`), '--to', kind);
  const script = [
    'run',
    ...kinds.flatMap((_, index) => {
      const device = `/dev/sd${'abcdefgh'[index]}`;
      return [`mount-ro ${device} /`, 'checksum sha256 /content', 'umount /', `checksum-device sha256 ${device}`];
    }),
  ].join('\n');
  const disks = kinds.flatMap((kind) => ['-a', join(folder, `${kind}.vmdk`)]);
  await writeFile(join(folder, 'script'), `${script}\n`);
  const { stdout } = await execute('guestfish', ['--ro', ...disks, '-f', join(folder, 'script')], {
    env: environment,
    timeout: 300_000,
  });
  const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
  const one = [sha256(content), sha256(await readFile(join(folder, 'fs.raw')))];
  assert.deepEqual(
    stdout.trim().split('\n'),
    kinds.flatMap(() => one),
  );
});

test('virt-v2v takes an OVA of ours as a machine of VMware: manifest, descriptor, disks, networks', {
  skip,
}, async () => {
  const source = join(folder, 'package');
  await mkdir(source);
  await hypo('disk', 'convert', join(folder, 'fs.raw'), join(source, 'disk1.vmdk'), '--to', 'streamOptimized');
  const fileBytes = (await readFile(join(source, 'disk1.vmdk'))).length;
  await writeFile(
    join(source, 'app.ovf'),
    descriptorOf({ name: 'app', href: 'disk1.vmdk', fileBytes, capacityBytes: imageBytes }),
  );
  const ova = join(folder, 'app.ova');
  await hypo('ovf', 'pack', join(source, 'app.ovf'), ova);
  const ask = (path: string) =>
    execute('virt-v2v', ['-i', 'ova', path, '-o', 'null', '--print-source'], { env: environment, timeout: 120_000 });
  const { stdout } = await ask(ova);
  assert.match(stdout, /source name: app\n/);
  assert.match(stdout, /memory: 67108864 \(bytes\)/);
  assert.match(stdout, /disks:\n\t0 \[scsi\]/);
  assert.match(stdout, /Bridge "VM Network" \[vmxnet3\]/);
  // It holds our manifest against the files, too.
  const bytes = await readFile(ova);
  bytes[bytes.length - 2048]! ^= 1;
  await writeFile(ova, bytes);
  await assert.rejects(ask(ova), /checksum/);
});
