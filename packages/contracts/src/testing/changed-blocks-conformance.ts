import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { it } from 'node:test';
import { promisify } from 'node:util';
import type { DiskExport } from '../block-work.ts';
import type { LayerGenerations } from '../changed-blocks.ts';
import type { BlockLayer } from '../hardware.ts';
import type { ConformanceWorld } from './conformance-world.ts';
import { adopted, rejects } from './observed-machine.ts';

const run = promisify(execFile);
/** Largest stretch that one written sector may be told as. */
const blockBytes = 65_536;

/** What every driver keeps of the changes of disks. */
export function changedBlocksConformance(world: ConformanceWorld): void {
  it('keeps what a guest changes, by generations, through a snapshot, another owner and a merge', async (test) => {
    if (!world.capabilities.changedBlocks)
      return test.skip(
        'the driver does not keep which blocks change (capability changedBlocks): it runs with one that does',
      );
    const asked = await world.request();
    const layers = asked.hardware.disks.find(({ id }) => id === 'data')?.layers ?? [];
    const [top] = layers as [BlockLayer];
    const machine = await world.hypervisor.start(asked);
    const session = await world.guest.open(machine);
    await session.ready();
    await machine.beginGenerations([{ diskId: 'data', generation: 'g1' }]);
    await machine.beginGenerations([{ diskId: 'data', generation: 'g1' }]);
    await rejects(machine.beginGenerations([{ diskId: 'nowhere', generation: 'g1' }]), 'block-failed');
    assert.deepEqual(shown(await machine.generations('data')).slice(0, 1), [`${basename(top.path)} g1*`]);
    assert.deepEqual(await changes(await machine.exportDisk('data', { generations: ['g1'] }), 'g1'), []);
    await session.writeDisk('one');
    const overlay: BlockLayer = { format: 'qcow2', path: join(world.root, 'changes-overlay.qcow2') };
    const { virtualBytes } = await world.hypervisor.images.inspect(top);
    const backing = { ...top, relativePath: top.path };
    await world.hypervisor.images.createDelta({ path: overlay.path, virtualBytes, backing });
    await machine.snapshotDisks([{ diskId: 'data', layer: overlay, generation: 'g2' }]);
    const both = ['g1', 'g2'];
    const before = await machine.exportDisk('data', { generations: both });
    assert.deepEqual(await changes(before, 'g1'), [0]);
    assert.deepEqual(await changes(before, 'g2'), []);
    await session.writeDisk('two');
    // What is told is as of the moment at which it was asked for.
    assert.deepEqual(await changes(before, 'g2'), []);
    assert.deepEqual(await changes(await machine.exportDisk('data', { generations: both }), 'g2'), [0]);
    const snapshot = await machine.exportDisk('data', { layer: top.path, generations: ['g1'] });
    assert.deepEqual(await changes(snapshot, 'g1'), [0]);
    await snapshot.close();
    await rejects(machine.exportDisk('data', { layer: top.path, generations: ['g2'] }), 'block-failed');
    await rejects(machine.exportDisk('data', { generations: ['g3'] }), 'block-failed');
    session.close();
    await world.reopen();
    const found = await adopted(world.hypervisor, asked);
    assert.deepEqual(shown(await found.generations('data')).slice(0, 2), [
      `${basename(overlay.path)} g2*`,
      `${basename(top.path)} g1*`,
    ]);
    const merge = { jobId: 'changes', diskId: 'data', path: overlay.path, into: top.path, backingName: top.path };
    await found.commitLayer({ ...merge, onMerged: async () => {} });
    await rm(overlay.path);
    assert.deepEqual(shown(await found.generations('data')).slice(0, 1), [`${basename(top.path)} g1 g2*`]);
    await found.powerOff();
    const { images } = world.hypervisor;
    assert.deepEqual(shown(await images.generations([top])), [`${basename(top.path)} g1 g2*`]);
    const off = await images.exportDisk({ layers, socketPath: join(world.root, 'changes'), generations: ['g2'] });
    assert.deepEqual(await changes(off, 'g2'), [0]);
    await off.close();
    await images.forgetGenerations(top, ['g1']);
    await images.beginGeneration(top, 'g3');
    assert.deepEqual(shown(await images.generations([top])), [`${basename(top.path)} g2 g3*`]);
  });
}

/** Each layer's name and its generations, `*` where one records, `!` where it says nothing. */
function shown(layers: readonly LayerGenerations[]): string[] {
  return layers.map(({ path, generations }) => {
    const names = generations.map(
      ({ name, recording, consistent }) => `${name}${recording ? '*' : ''}${consistent ? '' : '!'}`,
    );
    return [basename(path), ...names.sort()].join(' ');
  });
}

/** Offsets of the stretches that an export tells as changed. */
async function changes({ socketPath, exportName }: DiskExport, name: string): Promise<number[]> {
  const uri = `nbd+unix:///${exportName}?socket=${socketPath}`;
  const { stdout } = await run('nbdinfo', ['--json', `--map=qemu:dirty-bitmap:${name}`, uri]);
  const ranges = JSON.parse(stdout) as { offset: number; length: number; type: number }[];
  const changed = ranges.filter(({ type }) => type === 1);
  assert.ok(changed.every(({ length }) => length <= blockBytes));
  return changed.map(({ offset }) => offset);
}
