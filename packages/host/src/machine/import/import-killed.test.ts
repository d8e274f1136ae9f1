import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { data, type ManagedObjectReference } from '@hypostyle/vim';
import { writeStreamOptimized } from '@hypostyle/vmdk';
import { Computer, type Daemon, rootPool, smallMachine } from '../../testing/host-fixture.ts';
import { deaths, killedAt, killLimit } from '../../testing/killed.ts';
import { gateFiles } from '../../testing/mortal-files.ts';

/** An import from an archive on the datastore, killed at each of its steps: a machine that is whole, or nothing of it. */

type Lease = ManagedObjectReference<'HttpNfcLease'>;
const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const diskBytes = 2 ** 20;

async function streamDisk(): Promise<Buffer> {
  const content = createHash('shake256', { outputLength: diskBytes / 2 })
    .update('disk')
    .digest();
  const blocks = async function* () {
    yield { offset: 0, data: content };
  };
  const parts: Uint8Array[] = [];
  for await (const part of writeStreamOptimized({ virtualBytes: diskBytes, blocks: blocks() })) parts.push(part);
  return Buffer.concat(parts);
}

/** The whole of a client's work; how far it came, for a client that dies with its server. */
async function importMachine(daemon: Daemon, disk: Buffer, seen: { completed: boolean }): Promise<void> {
  const { config } = smallMachine('web') as { config: object };
  const spec = { _typeName: 'VirtualMachineImportSpec', configSpec: config };
  const lease = (await daemon.call(rootPool, 'ImportVApp', { spec })) as Lease;
  while (daemon.host.registry.read(lease, 'state') === 'initializing') {
    if (daemon.store.dead) return;
    await pause(2);
  }
  assert.equal(daemon.host.registry.read(lease, 'error')?.localizedMessage, undefined);
  const info = daemon.host.registry.read(lease, 'info');
  const digest = createHash('sha256').update(disk).digest('base64');
  const files = (info?.deviceUrl ?? []).map(({ importKey }) =>
    data('HttpNfcLeaseSourceFile', {
      targetDeviceId: importKey,
      url: '[datastore1] library/disk.vmdk',
      create: false,
      httpHeaders: [data('KeyValue', { key: 'Digest', value: `sha-256=${digest}` })],
    }),
  );
  assert.ok(files.length > 0);
  await daemon.task(lease, 'HttpNfcLeasePullFromUrls_Task', { files });
  await daemon.call(lease, 'HttpNfcLeaseComplete');
  seen.completed = true;
}

test('an import that is killed at any step leaves a whole machine, or nothing', killLimit, async (t) => {
  const ungate = gateFiles();
  t.after(ungate);
  const disk = await streamDisk();
  let whole = false;
  for (const steps of deaths(7)) {
    if (whole) break;
    const computer = await Computer.make();
    try {
      await mkdir(join(computer.datastore, 'library'), { recursive: true });
      const source = join(computer.datastore, 'library', 'disk.vmdk');
      await writeFile(source, disk);
      let daemon = await computer.start();
      const seen = { completed: false };
      const work = (alive: Daemon) => importMachine(alive, disk, seen);
      ({ daemon, whole } = await killedAt({ computer, daemon, dies: steps }, work));
      await daemon.idle();
      const folders = (await readdir(computer.datastore)).filter((name) => !name.startsWith('.'));
      const machine = daemon.machine('web');
      if (seen.completed) assert.ok(machine, `killed at ${steps}: the lease was complete, and the machine is gone`);
      if (machine === undefined) assert.deepEqual(folders, ['library'], `killed at ${steps}`);
      else {
        assert.deepEqual(folders, ['library', 'web'], `killed at ${steps}`);
        assert.equal(daemon.read(machine, 'runtime')?.connectionState, 'connected');
        await daemon.task(machine, 'PowerOnVM_Task');
        await daemon.task(machine, 'PowerOffVM_Task');
      }
      assert.ok((await readFile(source)).equals(disk), 'the source is as it was');
      assert.ok((await stat(source)).nlink <= 2);
      assert.deepEqual(computer.defects, [], `killed at ${steps}`);
      await daemon.host.close();
    } finally {
      await computer.remove();
    }
  }
});
