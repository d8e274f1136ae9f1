import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, it } from 'node:test';
import { promisify } from 'node:util';
import type { BlockLayer, DiskExport } from '@hypostyle/contracts';
import { busyboxGuest, GuestConsole } from '@hypostyle/contracts/testing';
import { QemuHypervisor } from '../qemu-hypervisor.ts';

const run = promisify(execFile);
const rounds = Number(process.env.HYPOSTYLE_RUNS ?? 4);
const diskBytes = 16 << 20;

let folder: string;
let hypervisor: QemuHypervisor;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gen-'));
  hypervisor = new QemuHypervisor({ cacheDirectory: join(folder, 'cache') });
});

after(async () => {
  await hypervisor.detach();
  await rm(folder, { recursive: true, force: true });
});

/** Everything that an export has, and where each generation has a change. */
async function readAll({ exportName, socketPath }: DiskExport, names: readonly string[]) {
  const uri = `nbd+unix:///${exportName}?socket=${socketPath}`;
  const path = join(folder, 'copy');
  await rm(path, { force: true });
  await run('nbdcopy', [uri, path]);
  const areas = new Map<string, readonly { offset: number; length: number }[]>();
  for (const name of names) {
    const { stdout } = await run('nbdinfo', ['--json', `--map=qemu:dirty-bitmap:${name}`, uri]);
    const ranges = JSON.parse(stdout) as { offset: number; length: number; type: number }[];
    const changed = ranges.filter(({ type }) => type === 1);
    areas.set(name, changed);
  }
  return { bytes: await readFile(path), areas };
}

it('tells all that a guest writes while layers come and go under it', { timeout: 180_000 }, async () => {
  const uuid = randomUUID();
  const { images } = hypervisor;
  const guest = await busyboxGuest.prepare({ uuid, folder, images });
  const changesPath = join(folder, 'blank-ctk.qcow2');
  await images.createChangeLayer({ path: changesPath, fileName: 'blank-flat.img', virtualBytes: diskBytes });
  const base: BlockLayer = { format: 'raw', path: join(folder, 'blank-flat.img'), changesPath };
  const disks = guest.disks.map((disk) => (disk.id === 'data' ? { ...disk, layers: [base] } : disk));
  const machine = await hypervisor.start({
    uuid,
    hardware: { ...guest, disks },
    runDirectory: join(folder, 'run'),
    lockPath: join(folder, 'vm.lck'),
    logPath: join(folder, 'engine.log'),
  });
  try {
    const console = await GuestConsole.connect(machine.serialSocketPaths[0] ?? '');
    await console.ready();
    await machine.beginGenerations([{ diskId: 'data', generation: 'g0' }]);
    const device = `$(cd /sys/block; for d in sd*; do [ $(cat $d/size) = ${diskBytes / 512} ] && echo $d; done)`;
    const writing = `dd if=/dev/urandom of=/dev/${device} bs=4k count=$((i % 13 + 1)) seek=$((i * 977 % 4000)) conv=notrunc,fsync`;
    await console.run(
      `(i=1; while [ ! -e /tmp/enough ]; do ${writing} 2>/dev/null; i=$((i+1)); done) >/dev/null 2>&1 &`,
    );
    const moments = [Buffer.alloc(diskBytes)];
    let written = 0;
    for (let round = 1; round <= rounds; round += 1) {
      const layer: BlockLayer = { format: 'qcow2', path: join(folder, `overlay-${round}.qcow2`) };
      await images.createDelta({
        path: layer.path,
        virtualBytes: diskBytes,
        backing: { ...base, relativePath: base.path },
      });
      // A while of writing to what is the top now.
      while ((await machine.usage()).disks.reduce((sum, { writes }) => sum + writes, 0) < written + 20) {
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      await machine.snapshotDisks([{ diskId: 'data', layer, generation: `g${round}` }]);
      const names = Array.from({ length: round }, (_, index) => `g${index}`);
      const exported = await machine.exportDisk('data', { layer: base.path, generations: names });
      const { bytes, areas } = await readAll(exported, names);
      await exported.close();
      for (const [since, before] of moments.entries()) {
        const restored = Buffer.from(before);
        for (const name of names.slice(since)) {
          for (const { offset, length } of areas.get(name) ?? []) bytes.copy(restored, offset, offset, offset + length);
        }
        assert.ok(restored.equals(bytes), `round ${round}: what changed since ${since} is not all`);
      }
      moments.push(bytes);
      const merge = {
        jobId: `merge-${round}`,
        diskId: 'data',
        path: layer.path,
        into: base.path,
        backingName: base.path,
      };
      await machine.commitLayer({ ...merge, onMerged: async () => {} });
      await rm(layer.path);
      written = (await machine.usage()).disks.reduce((sum, { writes }) => sum + writes, 0);
    }
    assert.ok(new Set(moments.map((bytes) => bytes.toString('latin1'))).size > rounds / 2, 'the guest wrote');
    console.close();
  } finally {
    await machine.powerOff();
  }
  const [kept] = await images.generations([base]);
  assert.equal(kept?.generations.length, rounds + 1);
  assert.ok(kept?.generations.every(({ consistent }) => consistent));
});
