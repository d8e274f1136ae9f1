import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Computer, type Daemon, filesAtRest, gateFiles, rootPool, smallMachine } from '@hypostyle/host/testing';
import { data, type ManagedObjectReference } from '@hypostyle/vim';
import fc from 'fast-check';
import { writeFakeBlock } from '../packages/host/src/testing/fake-disks.ts';
import { manifestOf, streamDisk, tarOf } from './harness/package-files.ts';

type Lease = ManagedObjectReference<'HttpNfcLease'>;

const diskBytes = 2 ** 20;
const mark = { block: 3, value: 77 };

/** Imports a machine whose disk the host takes from an archive on its datastore. */
async function importMachine(computer: Computer, daemon: Daemon, stream: Buffer): Promise<void> {
  const disk = { name: 'disk1.vmdk', content: stream };
  const members = [{ name: 'app.ovf', content: Buffer.from('none') }, disk];
  await mkdir(join(computer.datastore, 'library'), { recursive: true });
  const manifest = { name: 'app.mf', content: Buffer.from(manifestOf(members)) };
  await writeFile(join(computer.datastore, 'library', 'app.ova'), tarOf([members[0]!, manifest, disk]));
  const { config } = smallMachine('web') as { config: object };
  const spec = { _typeName: 'VirtualMachineImportSpec', configSpec: config };
  const lease = (await daemon.call(rootPool, 'ImportVApp', { spec })) as Lease;
  while (daemon.host.registry.read(lease, 'state') !== 'ready') await sleep(2);
  const targetDeviceId = daemon.host.registry.read(lease, 'info')?.deviceUrl?.[0]?.importKey ?? '';
  const source = { url: '[datastore1] library/app.ova', memberName: 'disk1.vmdk', create: false };
  const files = [data('HttpNfcLeaseSourceFile', { ...source, targetDeviceId })];
  await daemon.outcome(
    (await daemon.call(lease, 'HttpNfcLeasePullFromUrls_Task', { files })) as ManagedObjectReference<'Task'>,
  );
  await daemon.call(lease, 'HttpNfcLeaseComplete');
}

/** Waits until the disk is a plain one, and nothing is done any more. */
async function settled(computer: Computer, daemon: Daemon): Promise<void> {
  const descriptor = join(computer.datastore, 'web', 'web.vmdk');
  while (!/createType="vmfs"/.test(await readFile(descriptor, 'utf8'))) await sleep(5);
  await daemon.idle();
}

test('wherever the process dies while a disk settles, it ends as a plain one with every byte, on or off', async (t) => {
  t.after(gateFiles());
  let at = 0;
  const image = Buffer.from(crypto.getRandomValues(new Uint8Array(65_536)));
  const whole = Buffer.concat(Array.from({ length: 16 }, () => image));
  const stream = await streamDisk(diskBytes, (bytes) => {
    at += bytes;
    return whole.subarray(at - bytes, at);
  });
  const kills = fc.array(fc.nat({ max: 45 }), { minLength: 1, maxLength: 5 });
  await fc.assert(
    fc.asyncProperty(kills, fc.boolean(), async (steps, running) => {
      const computer = await Computer.make();
      try {
        let daemon = await computer.start();
        await importMachine(computer, daemon, stream);
        const expected = Buffer.from(whole);
        if (running) {
          await daemon.task(daemon.machine('web')!, 'PowerOnVM_Task');
          const [engine] = computer.engines.engines.values();
          const [layers] = engine?.disks.values() ?? [];
          assert.ok(layers?.[0]);
          // Written while it still settles, or already on the plain disk.
          writeFakeBlock(layers[0], mark.block, mark.value);
          expected[mark.block * 512] = mark.value;
        }
        for (const left of steps) {
          daemon.store.stepsLeft = left;
          const died = await Promise.race([
            settled(computer, daemon).then(() => false),
            daemon.store.died.then(() => true),
          ]);
          daemon.store.stepsLeft = died ? 0 : Number.POSITIVE_INFINITY;
          if (!died) break;
          // What it was doing to files comes to an end; nobody hears of it.
          await filesAtRest();
          daemon.bury();
          daemon = await computer.start();
        }
        await settled(computer, daemon);
        const folder = join(computer.datastore, 'web');
        const left = (await readdir(folder, { recursive: true })).filter((name) => !/\.(vmx|lck|log)$/.test(name));
        assert.deepEqual(left.sort(), ['.hypo', 'web-flat.vmdk', 'web.vmdk']);
        assert.match(await readFile(join(folder, 'web.vmdk'), 'utf8'), /createType="vmfs"/);
        assert.ok((await readFile(join(folder, 'web-flat.vmdk'))).equals(expected), 'the bytes');
        const engine = [...computer.engines.engines.values()][0];
        const layers = [...(engine?.disks.values() ?? [])].map((one) => one.map(({ path }) => path));
        assert.deepEqual(layers, running ? [[join(folder, 'web-flat.vmdk')]] : []);
        assert.deepEqual(computer.defects, []);
        await daemon.task(daemon.machine('web')!, running ? 'PowerOffVM_Task' : 'PowerOnVM_Task');
        await daemon.host.close();
      } finally {
        await computer.remove();
      }
    }),
    { numRuns: Number(process.env.HYPOSTYLE_RUNS ?? 6), endOnFailure: true },
  );
});
