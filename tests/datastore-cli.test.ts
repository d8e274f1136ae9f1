import assert from 'node:assert/strict';
import { mkdir, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { run } from '../packages/cli/src/run.ts';
import { memoryContext } from '../packages/cli/src/testing/memory-terminal.ts';
import { Daemon } from './harness/daemon.ts';

// `hypo datastore` at a center that runs as a process; what it did is looked up in the files of its host.
let center: Daemon;
before(async () => {
  center = await Daemon.start({ mode: 'center' });
});
after(() => center?.remove());

async function hypo(...args: string[]) {
  const memory = memoryContext({ HYPOSTYLE_HOME: center.home });
  const code = await run(['datastore', ...args], memory.context);
  return { code, output: memory.output(), errors: memory.errors() };
}

async function done(...args: string[]): Promise<string> {
  const { code, output, errors } = await hypo(...args);
  assert.equal(code, 0, `${args.join(' ')}: ${errors}`);
  return output;
}

test('files and disks of datastores are listed, made, copied, moved, told of and deleted', {
  timeout: 120_000,
}, async () => {
  const [{ name, capacity }] = JSON.parse(await done('ls', '--json'));
  const [info] = JSON.parse(await done('info', name, '--json'));
  assert.equal(info.capacity, capacity);
  assert.equal(info.used, info.capacity - info.free);
  const at = (path: string) => join(center.home, 'datastores', 'datastore1', path);
  const on = (path: string) => `[${name}] ${path}`;
  await done('mkdir', '-p', on('iso/new'));
  await writeFile(at('iso/a.iso'), 'x');
  await done('cp', on('iso/a.iso'), on('iso/new/'));
  await done('mv', on('iso/a.iso'), on('iso/b.iso'));
  assert.deepEqual(await readdir(at('iso')), ['b.iso', 'new']);
  const [{ files }] = JSON.parse(await done('ls', on('iso'), '--json'));
  assert.deepEqual(
    files.map(({ path, kind }: { path: string; kind: string }) => [path, kind]),
    [
      ['new', 'Folder'],
      ['b.iso', 'IsoImage'],
    ],
  );
  assert.match(await done('ls', '-R', on('iso')), /new\/\n.*iso\/new\/:\na\.iso/s);
  await mkdir(at('d'));
  await done('disk', 'create', on('d/x.vmdk'), '--size', '8M');
  await done('disk', 'extend', on('d/x.vmdk'), '--size', '16M');
  await done('cp', on('d/x.vmdk'), on('d/y.vmdk'), '--type', 'sparseMonolithic');
  await done('disk', 'defragment', on('d/y.vmdk'));
  await done('mv', on('d/x.vmdk'), on('iso/x.vmdk'));
  assert.deepEqual(await readdir(at('d')), ['y.vmdk']);
  const told = JSON.parse(await done('disk', 'info', on('iso/x.vmdk'), '--json'));
  assert.deepEqual([told.capacity, told.thin, told.fragmentation], [16 * 2 ** 20, true, 0]);
  await done('disk', 'inflate', on('iso/x.vmdk'));
  assert.ok((await stat(at('iso/x-flat.vmdk'))).blocks * 512 >= 16 * 2 ** 20);
  const again = await hypo('disk', 'create', on('iso/x.vmdk'), '--size', '8M');
  assert.notEqual(again.code, 0);
  assert.match(again.errors, /exists already/);
  for (const path of ['iso/x.vmdk', 'd', 'iso']) await done('rm', on(path));
  assert.match((await hypo('rm', on('iso'))).errors, /not found/);
  await done('rm', '--force', on('iso'));
  const left = (await readdir(at(''))).filter((each) => !each.startsWith('.'));
  assert.deepEqual(left, []);
  assert.equal((await hypo('ls', 'iso')).code, 2);
});
