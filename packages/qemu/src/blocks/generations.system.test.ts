import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, it } from 'node:test';
import { promisify } from 'node:util';
import type { BlockLayer, DiskExport, LayerCommit, RunningMachine, StartRequest } from '@hypostyle/contracts';
import { QemuHypervisor } from '../qemu-hypervisor.ts';
import { QmpClient } from '../qmp/qmp-client.ts';

const run = promisify(execFile);
const virtualBytes = 8 << 20;
const mebi = 1 << 20;

let root: string;
let hypervisor: QemuHypervisor;
const benches: Bench[] = [];

before(async () => {
  root = await mkdtemp(join(tmpdir(), 'gen-'));
  hypervisor = new QemuHypervisor({ cacheDirectory: join(root, 'cache') });
});

after(async () => {
  // Whatever a failed test left running.
  for (const { request } of benches) await (await hypervisor.adopt(request).catch(() => undefined))?.powerOff();
  await hypervisor.detach();
  await rm(root, { recursive: true, force: true });
});

/** A machine with one disk, whose guest finds nothing to boot. */
class Bench {
  readonly folder: string;
  readonly uuid = randomUUID();
  readonly base: BlockLayer;
  /** Layers, top first. */
  layers: BlockLayer[];
  #machine: RunningMachine | undefined;
  #merges = 0;

  private constructor(folder: string, base: BlockLayer) {
    this.folder = folder;
    this.base = base;
    this.layers = [base];
  }

  static async make({ tracked = true } = {}): Promise<Bench> {
    const folder = join(root, `m${benches.length}`);
    await mkdir(folder);
    const path = join(folder, 'd-flat.vmdk');
    const changesPath = join(folder, 'd-ctk.qcow2');
    await writeFile(path, Buffer.alloc(virtualBytes));
    const changes = { path: changesPath, fileName: 'd-flat.vmdk', virtualBytes };
    if (tracked) await hypervisor.images.createChangeLayer(changes);
    const bench = new Bench(folder, { format: 'raw', path, ...(tracked ? { changesPath } : {}) });
    benches.push(bench);
    return bench;
  }

  get request(): StartRequest {
    const disk = { id: 'd', controllerId: 'c0', unit: 0, layers: this.layers, readOnly: false, discardWrites: false };
    return {
      uuid: this.uuid,
      hardware: {
        uuid: this.uuid,
        name: 'generations',
        firmware: 'bios',
        cpus: 1,
        coresPerSocket: 1,
        memoryMiB: 32,
        guestId: 'otherGuest',
        controllers: [{ id: 'c0', model: 'pvscsi', bus: 0 }],
        disks: [disk],
        cdroms: [],
        nics: [],
        serials: [],
        balloon: false,
        rng: false,
        vmport: false,
        guestAgent: false,
        bootOrder: [],
        nvramPath: join(this.folder, 'nvram'),
        clock: 'utc',
      },
      runDirectory: join(this.folder, 'run'),
      lockPath: join(this.folder, 'vm.lck'),
      logPath: join(this.folder, 'engine.log'),
    };
  }

  get machine(): RunningMachine {
    assert.ok(this.#machine);
    return this.#machine;
  }

  async start(more: Partial<StartRequest> = {}): Promise<RunningMachine> {
    this.#machine = await hypervisor.start({ ...this.request, ...more });
    return this.#machine;
  }

  async adopt(): Promise<RunningMachine> {
    await hypervisor.detach();
    hypervisor = new QemuHypervisor({ cacheDirectory: join(root, 'cache') });
    this.#machine = await hypervisor.adopt(this.request);
    return this.machine;
  }

  async kill(): Promise<void> {
    const { machine } = this;
    const ended = new Promise((resolve) => machine.subscribe(({ kind }) => kind === 'ended' && resolve(kind)));
    process.kill(machine.pid, 'SIGKILL');
    await ended;
  }

  /** Does on the disk what its guest does; a second monitor is free for it. */
  async guest(...commands: string[]): Promise<void> {
    const files = await readdir(join(this.folder, 'run'));
    const name = files.find((file) => file.startsWith('rescue-')) ?? '';
    const monitor = await QmpClient.connect({ path: join(this.folder, 'run', name), timeoutMs: 5_000 });
    try {
      const devices = (await monitor.execute('query-block')) as { qdev?: string }[];
      const device = devices.find(({ qdev }) => qdev?.endsWith('disk-d'))?.qdev;
      for (const command of commands) {
        const line = `qemu-io -d ${device} "${command}"`;
        const said = await monitor.execute('human-monitor-command', { 'command-line': line });
        assert.doesNotMatch(String(said), /error|fail|invalid|unknown/i, command);
      }
    } finally {
      monitor.close();
    }
  }

  async delta(name: string): Promise<BlockLayer> {
    const path = join(this.folder, `${name}.qcow2`);
    const [top] = this.layers as [BlockLayer];
    const backing = { ...top, relativePath: top.path };
    await hypervisor.images.createDelta({ path, virtualBytes, backing });
    return { format: 'qcow2', path };
  }

  async snapshot(generation: string): Promise<void> {
    const layer = await this.delta(`d-${generation}`);
    await this.machine.snapshotDisks([{ diskId: 'd', layer, generation }]);
    this.layers.unshift(layer);
  }

  async merge(depth: number, more: Partial<LayerCommit> = {}): Promise<void> {
    const [layer, into] = this.layers.slice(depth) as [BlockLayer, BlockLayer];
    this.#merges += 1;
    await this.machine.commitLayer({
      jobId: `merge-${this.#merges}`,
      diskId: 'd',
      path: layer.path,
      into: into.path,
      backingName: into.path,
      onMerged: async () => {},
      ...more,
    });
    this.layers.splice(depth, 1);
    await rm(layer.path);
  }

  /** Layers with generations, of the engine: name, `*` where it records, `!` where it says nothing. */
  async running(): Promise<string[]> {
    return shown(await this.machine.generations('d'));
  }

  async off(): Promise<string[]> {
    return shown(await hypervisor.images.generations(this.layers));
  }

  /** Numbers of the mebibytes in which an export tells a change, by generation. */
  async changes(exported: DiskExport, ...names: string[]): Promise<number[][]> {
    const uri = `nbd+unix:///${exported.exportName}?socket=${exported.socketPath}`;
    const all: number[][] = [];
    for (const name of names) {
      const { stdout } = await run('nbdinfo', ['--json', `--map=qemu:dirty-bitmap:${name}`, uri]);
      const ranges = JSON.parse(stdout) as { offset: number; length: number; type: number }[];
      all.push(
        ranges.filter(({ type }) => type === 1).map(({ offset, length }) => offset / mebi + length / mebi / 1000),
      );
    }
    await exported.close();
    return all.map((offsets) => offsets.map(Math.floor));
  }

  changesNow(...names: string[]): Promise<number[][]> {
    return this.machine.exportDisk('d', { generations: names }).then((exported) => this.changes(exported, ...names));
  }

  async changesOff(...names: string[]): Promise<number[][]> {
    const socketPath = join(this.folder, 'nbd');
    const exported = await hypervisor.images.exportDisk({ layers: this.layers, socketPath, generations: names });
    return this.changes(exported, ...names);
  }
}

function shown(layers: Awaited<ReturnType<RunningMachine['generations']>>): string[] {
  return layers.map(({ path, generations }) => {
    const marks = generations.map(
      ({ name, recording, consistent }) => `${name}${recording ? '*' : ''}${consistent ? '' : '!'}`,
    );
    return [path.split('/').at(-1), ...marks.sort()].join(' ');
  });
}

const options = { timeout: 60_000 };

it('keeps what is written, zeroed and discarded, through snapshots, merges and a clean end', options, async () => {
  const bench = await Bench.make();
  const machine = await bench.start();
  assert.deepEqual(await bench.running(), ['d-flat.vmdk']);
  await assert.rejects(machine.beginGenerations([{ diskId: 'none', generation: 'g1' }]), { code: 'block-failed' });
  await machine.beginGenerations([{ diskId: 'd', generation: 'g1' }]);
  await machine.beginGenerations([{ diskId: 'd', generation: 'g1' }]);
  await bench.guest('write -P 1 0 64k', 'write -z 2M 64k', 'discard 4M 64k');
  await bench.snapshot('g2');
  await bench.guest('write -P 2 1M 64k');
  await bench.snapshot('g3');
  await bench.guest('write -P 3 3M 64k');
  assert.deepEqual(await bench.running(), ['d-g3.qcow2 g3*', 'd-g2.qcow2 g2*', 'd-flat.vmdk g1*']);
  assert.deepEqual(await bench.changesNow('g1', 'g2', 'g3'), [[0, 2, 4], [1], [3]]);
  // A snapshot, while the disk goes on.
  const snapshot = await machine.exportDisk('d', { layer: bench.layers[1]?.path ?? '', generations: ['g1', 'g2'] });
  assert.deepEqual(await bench.changes(snapshot, 'g1', 'g2'), [[0, 2, 4], [1]]);
  await assert.rejects(machine.exportDisk('d', { layer: bench.base.path, generations: ['g2'] }), {
    code: 'block-failed',
  });
  // An inner one, then the top: what they have is kept below.
  await bench.merge(1);
  assert.deepEqual(await bench.running(), ['d-g3.qcow2 g3*', 'd-flat.vmdk g1 g2*']);
  assert.deepEqual(await bench.changesNow('g1', 'g2', 'g3'), [[0, 2, 4], [1], [3]]);
  await bench.merge(0);
  await bench.guest('write -P 4 5M 64k');
  assert.deepEqual(await bench.running(), ['d-flat.vmdk g1 g2 g3*']);
  assert.deepEqual(await bench.changesNow('g1', 'g2', 'g3'), [[0, 2, 4], [1], [3, 5]]);
  await machine.forgetGenerations('d', ['g1', 'other']);
  await machine.powerOff();
  assert.deepEqual(await bench.off(), ['d-flat.vmdk g2 g3*']);
  assert.deepEqual(await bench.changesOff('g2', 'g3'), [[1], [3, 5]]);
  const bytes = await readFile(bench.base.path);
  assert.deepEqual(
    [0, 1, 2, 3, 4, 5, 6].map((at) => bytes[at * mebi]),
    [1, 2, 0, 3, 0, 4, 0],
  );
});

it(
  'keeps generations through suspend, resume and another owner, and tells what a kill of the engine left',
  options,
  async () => {
    const bench = await Bench.make();
    let machine = await bench.start();
    await machine.beginGenerations([{ diskId: 'd', generation: 'g1' }]);
    await bench.guest('write -P 1 0 64k');
    await bench.snapshot('g2');
    await bench.guest('write -P 1 1M 64k');
    const image = join(bench.folder, 'memory');
    await machine.suspend(image);
    assert.deepEqual(await bench.off(), ['d-g2.qcow2 g2*', 'd-flat.vmdk g1*']);
    machine = await bench.start({ resumeFrom: image });
    await bench.guest('write -P 1 2M 64k');
    // What the owner exported is in nobody's way.
    await machine.exportDisk('d', { generations: ['g1', 'g2'] });
    machine = await bench.adopt();
    assert.deepEqual(await bench.running(), ['d-g2.qcow2 g2*', 'd-flat.vmdk g1*']);
    assert.deepEqual(await bench.changesNow('g1', 'g2'), [[0], [1, 2]]);
    await bench.merge(0);
    await bench.guest('write -P 1 3M 64k');
    // An engine that ends while a disk is read ends cleanly all the same.
    await machine.exportDisk('d', { generations: ['g2'] });
    await machine.powerOff();
    assert.deepEqual(await bench.off(), ['d-flat.vmdk g1 g2*']);
    assert.deepEqual(await bench.changesOff('g1', 'g2'), [[0], [1, 2, 3]]);
    machine = await bench.start();
    await bench.snapshot('g3');
    await bench.kill();
    // Nothing is left of one that began since the engine did.
    assert.deepEqual(await bench.off(), ['d-g3.qcow2', 'd-flat.vmdk g1 g2*']);
    machine = await bench.start();
    await machine.beginGenerations([{ diskId: 'd', generation: 'g3' }]);
    await machine.powerOff();
    machine = await bench.start();
    await bench.kill();
    assert.deepEqual(await bench.off(), ['d-g3.qcow2 g3!', 'd-flat.vmdk g1 g2*']);
    await assert.rejects(bench.changesOff('g3'), { code: 'image-failed' });
    // What says nothing is told, in nobody's way, and gone with the next beginning.
    machine = await bench.start();
    assert.deepEqual(await bench.running(), ['d-g3.qcow2 g3!', 'd-flat.vmdk g1 g2*']);
    await assert.rejects(machine.exportDisk('d', { generations: ['g3'] }), { code: 'block-failed' });
    await machine.beginGenerations([{ diskId: 'd', generation: 'g4' }]);
    await bench.guest('write -P 1 5M 64k');
    await bench.merge(0);
    assert.deepEqual(await bench.running(), ['d-flat.vmdk g1 g2 g4*']);
    assert.deepEqual(await bench.changesNow('g4'), [[5]]);
    await machine.powerOff();
  },
);

it('has the same of a disk that no engine has', options, async () => {
  const bench = await Bench.make();
  const { images } = hypervisor;
  await images.beginGeneration(bench.base, 'g1');
  await images.beginGeneration(bench.base, 'g1');
  const write = async (at: number) => {
    const socketPath = join(bench.folder, 'nbd');
    const exported = await images.exportDisk({ layers: bench.layers, socketPath, writable: true });
    await run('qemu-io', ['-f', 'raw', '-c', `write -P 9 ${at}M 64k`, `nbd+unix:///disk?socket=${socketPath}`]);
    await exported.close();
  };
  await write(0);
  for (const generation of ['g2', 'g3']) {
    const layer = await bench.delta(generation);
    await images.beginGeneration(layer, generation);
    bench.layers.unshift(layer);
    await write(bench.layers.length);
  }
  assert.deepEqual(await bench.off(), ['g3.qcow2 g3*', 'g2.qcow2 g2*', 'd-flat.vmdk g1*']);
  assert.deepEqual(await bench.changesOff('g1', 'g2', 'g3'), [[0], [2], [3]]);
  await images.commit({ layers: bench.layers.slice(1) });
  bench.layers.splice(1, 1);
  await images.setBacking({
    path: (bench.layers[0] as BlockLayer).path,
    backing: { ...bench.base, relativePath: 'd-flat.vmdk' },
  });
  assert.deepEqual(await bench.off(), ['g3.qcow2 g3*', 'd-flat.vmdk g1 g2*']);
  await images.commit({ layers: bench.layers });
  await images.commit({ layers: bench.layers });
  bench.layers.shift();
  await write(5);
  assert.deepEqual(await bench.off(), ['d-flat.vmdk g1 g2 g3*']);
  assert.deepEqual(await bench.changesOff('g1', 'g2', 'g3'), [[0], [2], [3, 5]]);
  await images.forgetGenerations(bench.base, ['g1', 'other']);
  assert.deepEqual(await bench.off(), ['d-flat.vmdk g2 g3*']);
  const plain: BlockLayer = { format: 'raw', path: bench.base.path };
  await assert.rejects(images.beginGeneration(plain, 'g4'), { code: 'image-failed' });
  assert.deepEqual(await images.generations([plain]), [{ path: plain.path, generations: [] }]);
});

it(
  'begins to keep changes of a disk that runs, below a snapshot, and settles one that is put under it',
  options,
  async () => {
    const bench = await Bench.make({ tracked: false });
    const machine = await bench.start();
    await assert.rejects(machine.beginGenerations([{ diskId: 'd', generation: 'g1' }]), { code: 'block-failed' });
    await bench.guest('write -P 1 0 64k');
    await bench.snapshot('g1');
    await bench.guest('write -P 1 1M 64k');
    const changesPath = join(bench.folder, 'd-ctk.qcow2');
    await hypervisor.images.createChangeLayer({ path: changesPath, fileName: 'd-flat.vmdk', virtualBytes });
    const backing = { ...bench.base, changesPath };
    const change = { diskId: 'd', path: bench.layers[0]?.path ?? '', former: bench.base.path, backing };
    await machine.replaceBacking(change);
    await machine.replaceBacking(change);
    await bench.guest('write -P 1 2M 64k');
    bench.layers[1] = backing;
    await bench.merge(0);
    await bench.guest('write -P 1 3M 64k');
    assert.deepEqual(await bench.running(), ['d-flat.vmdk g1*']);
    assert.deepEqual(await bench.changesNow('g1'), [[1, 2, 3]]);
    // And away from it.
    await bench.snapshot('g2');
    await machine.replaceBacking({ ...change, path: bench.layers[0]?.path ?? '', backing: bench.base });
    bench.layers[1] = bench.base;
    await bench.merge(0);
    assert.deepEqual(await bench.running(), ['d-flat.vmdk']);
    await machine.powerOff();
    const bytes = await readFile(bench.base.path);
    assert.deepEqual(
      [0, 1, 2, 3, 4].map((at) => bytes[at * mebi]),
      [1, 1, 1, 1, 0],
    );
  },
);

it(
  'loses nothing where a merge is taken back, cancelled, or cut short by the end of the machine',
  options,
  async () => {
    const bench = await Bench.make();
    let machine = await bench.start();
    await machine.beginGenerations([{ diskId: 'd', generation: 'g1' }]);
    await bench.snapshot('g2');
    await bench.guest('write -P 1 1M 64k');
    const full = () => Promise.reject(new Error('full'));
    await assert.rejects(bench.merge(0, { onMerged: full }), { code: 'block-failed' });
    await bench.guest('write -P 1 2M 64k');
    await assert.rejects(bench.merge(0, { signal: AbortSignal.abort(new Error('cancelled')) }), /cancelled/);
    await bench.guest('write -P 1 3M 64k');
    assert.deepEqual(await bench.changesNow('g2'), [[1, 2, 3]]);
    await machine.powerOff();
    assert.deepEqual(await bench.changesOff('g2'), [[1, 2, 3]]);
    machine = await bench.start();
    await bench.merge(0);
    await bench.guest('write -P 1 4M 64k');
    assert.deepEqual(await bench.running(), ['d-flat.vmdk g1 g2*']);
    assert.deepEqual(await bench.changesNow('g2'), [[1, 2, 3, 4]]);
    await machine.powerOff();
  },
);

it('merges a layer that was enlarged, and does not know any more what changed', options, async () => {
  const bench = await Bench.make();
  const machine = await bench.start();
  await machine.beginGenerations([{ diskId: 'd', generation: 'g1' }]);
  await bench.snapshot('g2');
  await machine.growDisk('d', 2 * virtualBytes);
  await bench.guest('write -P 1 10M 64k');
  await assert.rejects(bench.changesNow('g1', 'g2'), { code: 'block-failed' });
  await bench.merge(0);
  await bench.guest('write -P 1 12M 64k');
  await machine.powerOff();
  assert.deepEqual(await bench.off(), ['d-flat.vmdk g1*']);
  const bytes = await readFile(bench.base.path);
  assert.deepEqual([bytes.length, bytes[10 * mebi], bytes[12 * mebi]], [2 * virtualBytes, 1, 1]);
});

it('merges a layer that keeps nothing into a disk that could', options, async () => {
  const bench = await Bench.make();
  bench.layers.unshift(await bench.delta('d-1'));
  bench.layers.unshift(await bench.delta('d-2'));
  const machine = await bench.start();
  await bench.guest('write -P 1 1M 64k');
  await bench.merge(1);
  await bench.guest('write -P 2 2M 64k');
  await bench.merge(0);
  await bench.guest('write -P 3 3M 64k');
  assert.deepEqual(await bench.running(), ['d-flat.vmdk']);
  await machine.powerOff();
  const bytes = await readFile(bench.base.path);
  assert.deepEqual([bytes[mebi], bytes[2 * mebi], bytes[3 * mebi]], [1, 2, 3]);
});

it('goes on while a disk is enlarged', options, async () => {
  const bench = await Bench.make();
  const machine = await bench.start();
  await machine.beginGenerations([{ diskId: 'd', generation: 'g1' }]);
  await bench.guest('write -P 1 1M 64k');
  await machine.growDisk('d', 2 * virtualBytes);
  await bench.guest('write -P 1 10M 64k');
  assert.deepEqual(await bench.changesNow('g1'), [[1, 10]]);
  await machine.powerOff();
  assert.deepEqual(await bench.off(), ['d-flat.vmdk g1*']);
  assert.deepEqual(await bench.changesOff('g1'), [[1, 10]]);
  await run('qemu-img', ['check', join(bench.folder, 'd-ctk.qcow2')], { cwd: bench.folder });
});

it('is read by the tools of others, a running disk and a snapshot of it', options, async () => {
  const bench = await Bench.make();
  const machine = await bench.start();
  await machine.beginGenerations([{ diskId: 'd', generation: 'g1' }]);
  await bench.guest('write -P 1 0 64k');
  await bench.snapshot('g2');
  await bench.guest('write -P 2 1M 128k');
  const read = async (exported: DiskExport, generation: string): Promise<number[]> => {
    const { socketPath, exportName } = exported;
    const copy = join(bench.folder, 'copy');
    await rm(copy, { force: true });
    await run('nbdcopy', [`nbd+unix:///${exportName}?socket=${socketPath}`, copy]);
    const map = `x-dirty-bitmap=qemu:dirty-bitmap:${generation}`;
    const source = `driver=nbd,export=${exportName},server.type=unix,server.path=${socketPath},${map}`;
    const { stdout } = await run('qemu-img', ['map', '--output=json', '--image-opts', source]);
    const ranges = JSON.parse(stdout) as { start: number; length: number; data: boolean }[];
    await exported.close();
    const bytes = await readFile(copy);
    // It tells what is dirty as a hole.
    const dirty = ranges.filter(({ data }) => !data).map(({ start, length }) => [start, length]);
    return [...dirty.flat(), bytes.length, bytes[0] ?? 0, bytes[mebi] ?? 0];
  };
  const live = await machine.exportDisk('d', { generations: ['g1', 'g2'] });
  assert.deepEqual(await read(live, 'g2'), [mebi, 131_072, virtualBytes, 1, 2]);
  const snapshot = await machine.exportDisk('d', { layer: bench.base.path, generations: ['g1'] });
  assert.deepEqual(await read(snapshot, 'g1'), [0, 65_536, virtualBytes, 1, 0]);
  await bench.merge(0);
  await machine.powerOff();
  const { images } = hypervisor;
  const off = { layers: bench.layers, socketPath: join(bench.folder, 'nbd'), generations: ['g2'] };
  assert.deepEqual(await read(await images.exportDisk(off), 'g2'), [mebi, 131_072, virtualBytes, 1, 2]);
});
