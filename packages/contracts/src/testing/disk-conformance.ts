import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { basename, join } from 'node:path';
import { it } from 'node:test';
import type { DiskExport, DiskOverlay, LayerCommit } from '../block-work.ts';
import type { BlockLayer, DiskHardware } from '../hardware.ts';
import type { StartRequest } from '../hypervisor.ts';
import type { ConformanceWorld } from './conformance-world.ts';
import { makeOverlays } from './disk-overlays.ts';
import { adopted, rejects } from './observed-machine.ts';

/** What every driver does with the disks of machines: read beside the guest, overlays, merging. */
export function diskConformance(world: ConformanceWorld): void {
  it('lets a disk be read while the machine runs, through a snapshot, and when it is off', async (test) => {
    if (!world.capabilities.diskSnapshots)
      return test.skip('the driver lets no disks be read (capability diskSnapshots): it runs with one that does');
    const asked = await world.request();
    const { machine, session } = await running(asked);
    await session.writeDisk('one');
    const exported = await machine.exportDisk('data');
    assert.equal(await readExport(exported, 3), 'one');
    await session.writeDisk('two');
    await machine.snapshotDisks(await overlays(asked, 1));
    assert.equal(await readExport(exported, 3), 'two');
    await session.writeDisk('six');
    assert.equal(await readExport(exported, 3), 'six');
    await rejects(machine.exportDisk('nowhere'), 'block-failed');
    // What an owner leaves behind when it is killed stands in nobody's way.
    await machine.exportDisk('data');
    await exported.close();
    await exported.close();
    session.close();
    await machine.powerOff();
    await exported.close();
    const off = await world.hypervisor.images.exportDisk({
      layers: [dataLayer(asked)],
      socketPath: join(world.root, 'off'),
    });
    assert.equal(await readExport(off, 3), 'two');
    await off.close();
    await rejects(
      world.hypervisor.images.exportDisk({
        layers: [{ format: 'raw', path: join(world.root, 'nothing') }],
        socketPath: join(world.root, 'no'),
      }),
      'image-failed',
    );
  });

  it('puts overlays on disks of a running machine, and merges them', async (test) => {
    if (!world.capabilities.diskSnapshots)
      return test.skip('the driver puts no layers on disks (capability diskSnapshots): it runs with one that does');
    const asked = await world.request();
    const { machine, session } = await running(asked);
    await session.writeDisk('one');
    const first = await overlays(asked, 1);
    await machine.snapshotDisks(first);
    await session.writeDisk('two');
    // Again, as after a restart.
    await machine.snapshotDisks(first);
    assert.equal(await session.readDisk(3), 'two');
    const second = await overlays(asked, 2);
    await machine.snapshotDisks(second);
    await session.writeDisk('three');
    await rejects(
      machine.snapshotDisks([{ diskId: 'nowhere', layer: { format: 'qcow2', path: join(world.root, 'no.qcow2') } }]),
      'block-failed',
    );
    await rejects(
      machine.snapshotDisks([{ diskId: 'data', layer: { format: 'qcow2', path: join(world.root, 'no.qcow2') } }]),
      'block-failed',
    );
    // The middle into the one below; a request made twice is over the second time.
    const states: string[] = [];
    const merge = (path: string, more: Partial<LayerCommit> = {}) =>
      machine.commitLayer({
        jobId: `merge-${states.length}`,
        diskId: 'data',
        path,
        into: dataLayer(asked).path,
        backingName: basename(dataLayer(asked).path),
        onMerged: async () => {
          states.push(machine.state);
        },
        ...more,
      });
    const middle = pathOf(first, 'data');
    await merge(middle);
    await merge(middle);
    assert.deepEqual(states, ['running', 'running']);
    assert.equal(await session.readDisk(5), 'three');
    // The top: not when it is cancelled, nor when what names the disk cannot be written.
    const top = pathOf(second, 'data');
    const aborted = AbortSignal.abort(new Error('cancelled'));
    await assert.rejects(merge(top, { signal: aborted }), /cancelled/);
    await rejects(merge(top, { onMerged: () => Promise.reject(new Error('full')) }), 'block-failed');
    assert.equal(machine.state, 'running');
    await session.writeDisk('four_');
    const fractions: number[] = [];
    await merge(top, { onProgress: (fraction) => fractions.push(fraction) });
    assert.ok(fractions.every((fraction) => fraction >= 0 && fraction <= 1));
    assert.deepEqual(states, ['running', 'running', 'paused']);
    assert.equal(machine.state, 'running');
    await merge(top);
    assert.equal(await session.readDisk(5), 'four_');
    await session.writeDisk('five_');
    // And what the disk began with, into its base.
    const base = dataDisk(asked).layers[1] as BlockLayer;
    await merge(dataLayer(asked).path, { into: base.path });
    assert.equal(await session.readDisk(5), 'five_');
    await session.writeDisk('six__');
    session.close();
    await machine.powerOff();
    assert.equal(await diskAfter(asked, []), 'six__');
  });

  it('goes on with a merge whose owner was killed while the guest stood still', async (test) => {
    if (!world.capabilities.diskSnapshots)
      return test.skip('the driver puts no layers on disks (capability diskSnapshots): it runs with one that does');
    const asked = await world.request();
    const { machine, session } = await running(asked);
    await session.writeDisk('one');
    const made = await overlays(asked, 1);
    await machine.snapshotDisks(made);
    await session.writeDisk('two');
    session.close();
    await world.reopen();
    const commit = {
      jobId: 'merge',
      diskId: 'data',
      path: pathOf(made, 'data'),
      into: dataLayer(asked).path,
      backingName: basename(dataLayer(asked).path),
    };
    await world.ownedByAnother(asked, { commit });
    const found = await adopted(world.hypervisor, asked);
    assert.equal(found.state, 'paused');
    let merged = 0;
    await found.commitLayer({
      ...commit,
      onMerged: async () => {
        merged += 1;
      },
    });
    assert.equal(merged, 1);
    assert.equal(found.state, 'running');
    const second = await world.guest.open(found);
    assert.equal(await second.readDisk(3), 'two');
    await second.writeDisk('six');
    second.close();
    await found.powerOff();
    assert.equal((await diskAfter(asked, [dataLayer(asked)])).slice(0, 3), 'six');
  });

  it('merges layers of a disk that no engine has', async (test) => {
    if (!world.capabilities.diskSnapshots)
      return test.skip('the driver puts no layers on disks (capability diskSnapshots): it runs with one that does');
    const asked = await world.request();
    const below = dataLayer(asked);
    const [{ layer }] = (await overlays(asked, 1)).filter(({ diskId }) => diskId === 'data') as [DiskOverlay];
    const { machine, session } = await running(withDataLayers(asked, [layer, below]));
    await session.writeDisk('two__');
    session.close();
    await machine.powerOff();
    const layers = dataDisk(withDataLayers(asked, [layer, below])).layers;
    await rejects(world.hypervisor.images.commit({ layers: layers.slice(-1) }), 'image-failed');
    await assert.rejects(
      world.hypervisor.images.commit({ layers, signal: AbortSignal.abort(new Error('cancelled')) }),
      /cancelled/,
    );
    await world.hypervisor.images.commit({ layers });
    await world.hypervisor.images.commit({ layers });
    assert.equal(await diskAfter(asked, [below]), 'two__');
    await world.hypervisor.images.setBacking({
      path: layer.path,
      backing: { ...below, relativePath: basename(below.path) },
    });
    await rejects(
      world.hypervisor.images.setBacking({ path: join(world.root, 'no'), backing: { ...below, relativePath: 'x' } }),
      'image-failed',
    );
  });

  /** A machine whose guest is up. */
  async function running(asked: StartRequest) {
    const machine = await world.hypervisor.start(asked);
    const session = await world.guest.open(machine);
    await session.ready();
    return { machine, session };
  }

  function overlays(asked: StartRequest, round: number): Promise<DiskOverlay[]> {
    return makeOverlays(world.hypervisor.images, asked, round);
  }

  /** What the data disk has when the machine is started with these layers on top of its base. */
  async function diskAfter(asked: StartRequest, layers: readonly BlockLayer[]): Promise<string> {
    const { machine, session } = await running(withDataLayers(asked, layers));
    const text = await session.readDisk(5);
    session.close();
    await machine.powerOff();
    return text;
  }
}

function dataDisk({ hardware }: StartRequest): DiskHardware {
  const disk = hardware.disks.find(({ id }) => id === 'data');
  assert.ok(disk, 'the guest has no disk called data');
  return disk;
}

/** The top of the data disk as the guest was prepared. */
function dataLayer(asked: StartRequest): BlockLayer {
  return dataDisk(asked).layers[0] as BlockLayer;
}

/** The request with other layers over the base of the data disk. */
function withDataLayers(asked: StartRequest, layers: readonly BlockLayer[]): StartRequest {
  const data = dataDisk(asked);
  const disk = { ...data, layers: [...layers, ...data.layers.slice(1)] };
  const disks = asked.hardware.disks.map((one) => (one === data ? disk : one));
  return { ...asked, hardware: { ...asked.hardware, disks } };
}

function pathOf(overlays: readonly DiskOverlay[], id: string): string {
  return overlays.find(({ diskId }) => diskId === id)?.layer.path ?? '';
}

/** The beginning of an exported disk. */
async function readExport({ socketPath, exportName }: DiskExport, length: number): Promise<string> {
  const uri = `nbd+unix:///${exportName}?socket=${socketPath}`;
  const copy = spawn('nbdcopy', [uri, '-'], { stdio: ['ignore', 'pipe', 'inherit'] });
  const parts: Buffer[] = [];
  copy.stdout.on('data', (part: Buffer) => parts.length === 0 && parts.push(part));
  const [code] = (await once(copy, 'close')) as [number];
  assert.equal(code, 0, uri);
  return parts[0]?.toString('latin1', 0, length) ?? '';
}
