import assert from 'node:assert/strict';
import { copyFile, mkdir, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { it } from 'node:test';
import type { DiskMove, MachineMove } from '../disk-moves.ts';
import type { BlockLayer } from '../hardware.ts';
import type { StartRequest } from '../hypervisor.ts';
import type { ConformanceWorld } from './conformance-world.ts';
import { adopted, rejects } from './observed-machine.ts';

/** What every driver does when the disks of a running machine go elsewhere. */
export function diskMovesConformance(world: ConformanceWorld): void {
  it('has a guest go on with its disks in other files, and lets go of the former ones', async (test) => {
    if (!world.capabilities.diskMoves) return test.skip('the driver moves no disks of running machines');
    const asked = await world.request();
    const machine = await world.hypervisor.start(asked);
    const session = await world.guest.open(machine);
    await session.ready();
    await session.writeDisk('one');
    const first = await placeFor(world, asked, 'first');
    const states: string[] = [];
    const fractions: number[] = [];
    const move = (more: Partial<MachineMove>): MachineMove => ({
      ...first,
      onProgress: (fraction) => fractions.push(fraction),
      onMoved: async () => {
        states.push(machine.state);
      },
      ...more,
    });
    // Not when it is cancelled, nor when what names the place cannot be written, nor to where there is another's lock.
    const cancelled = AbortSignal.abort(new Error('cancelled'));
    await assert.rejects(machine.moveDisks(move({ signal: cancelled })), /cancelled/);
    await rejects(machine.moveDisks(move({ onMoved: () => Promise.reject(new Error('full')) })), 'block-failed');
    const other = await world.request();
    const neighbour = await world.hypervisor.start(other);
    await rejects(machine.moveDisks(move({ lockPath: other.lockPath })), 'locked');
    await neighbour.powerOff();
    assert.equal(machine.state, 'running');
    assert.deepEqual(states, []);
    await session.writeDisk('two');
    // All of a disk into one file, and what a layer has into a layer over a copy of what it lies on.
    await machine.moveDisks(move({}));
    assert.deepEqual(states, ['paused']);
    assert.equal(machine.state, 'running');
    assert.ok(fractions.every((fraction) => fraction >= 0 && fraction <= 1));
    assert.equal(await session.readDisk(3), 'two');
    await rm(dataOf(asked).path);
    await session.writeDisk('three');
    // The lock is that of the new place now, and the former one is free.
    const there: StartRequest = { ...asked, lockPath: first.lockPath, hardware: withLayers(asked, first.disks) };
    await rejects(world.hypervisor.start(there), 'locked');
    session.close();
    // Another owner finds it, and goes on with what it was told of.
    await world.reopen();
    const found = await adopted(world.hypervisor, there);
    await found.moveDisks({ ...first, onMoved: async () => {} });
    // One that is killed while the guest stands still leaves it so, until the next has brought it to the end.
    const second = await placeFor(world, there, 'second');
    const amid = Promise.withResolvers<void>();
    const never = new Promise<void>(() => {});
    const stand = () => {
      amid.resolve();
      return never;
    };
    const left = found.moveDisks({ ...second, onMoved: stand });
    left.catch(() => {});
    await Promise.race([amid.promise, left]);
    await world.reopen();
    const heir = await adopted(world.hypervisor, there);
    assert.equal(heir.state, 'paused');
    const late = AbortSignal.abort(new Error('too late to be cancelled'));
    await heir.moveDisks({ ...second, signal: late, onMoved: async () => {} });
    assert.equal(heir.state, 'running');
    const again = await world.guest.open(heir);
    assert.equal(await again.readDisk(5), 'three');
    await again.writeDisk('four_');
    assert.equal(await again.readDisk(5), 'four_');
    // One disk alone: the others, and the lock, stay.
    const whole: StartRequest = { ...there, lockPath: second.lockPath, hardware: withLayers(there, second.disks) };
    const third = await placeFor(world, whole, 'third');
    const alone = third.disks.filter(({ diskId }) => diskId === 'data');
    await rejects(heir.moveDisks({ disks: alone, onMoved: () => Promise.reject(new Error('full')) }), 'block-failed');
    await rejects(world.hypervisor.start(whole), 'locked');
    await heir.moveDisks({ disks: alone, onMoved: async () => {} });
    await rejects(world.hypervisor.start(whole), 'locked');
    await rm(dataOf(whole).path);
    await again.writeDisk('five_');
    assert.equal(await again.readDisk(5), 'five_');
    again.close();
    await heir.powerOff();
    // Its lock is free at once.
    const last: StartRequest = { ...whole, hardware: withLayers(whole, alone) };
    await (await world.hypervisor.start(last)).powerOff();
  });
}

function dataOf({ hardware }: StartRequest): BlockLayer {
  const [top] = hardware.disks.find(({ id }) => id === 'data')?.layers ?? [];
  assert.ok(top);
  return top;
}

function withLayers({ hardware }: StartRequest, moves: readonly DiskMove[]): StartRequest['hardware'] {
  const layersOf = (id: string) => moves.find(({ diskId }) => diskId === id)?.layers;
  return { ...hardware, disks: hardware.disks.map((disk) => ({ ...disk, layers: layersOf(disk.id) ?? disk.layers })) };
}

/** A folder for all of a machine: every disk of one layer as a whole, every other with copies of what it lies on. */
async function placeFor(
  { hypervisor: { images }, root }: ConformanceWorld,
  { hardware }: StartRequest,
  name: string,
): Promise<Required<Pick<MachineMove, 'disks' | 'lockPath' | 'nvramPath'>>> {
  const folder = join(root, `moved-${name}-${hardware.uuid}`);
  await mkdir(folder);
  const disks: DiskMove[] = [];
  for (const { id, layers, readOnly, discardWrites } of hardware.disks) {
    if (readOnly || discardWrites) continue;
    const [top, ...below] = layers as [BlockLayer, ...BlockLayer[]];
    const { virtualBytes } = await images.inspect(top);
    const path = join(folder, `${id}.top`);
    const isWhole = below.length === 0 || name === 'second';
    const common = { jobId: `move-${id}`, diskId: id, from: top.path, room: 'sparse' } as const;
    if (isWhole) {
      await writeFile(path, '');
      await truncate(path, virtualBytes);
      disks.push({ ...common, layers: [{ format: 'raw', path }], copied: 'all' });
      continue;
    }
    const copies = below.map((layer, index) => ({ ...layer, path: join(folder, `${id}.${index}`) }));
    for (const [index, { path: from }] of below.entries()) await copyFile(from, copies[index]?.path ?? '');
    const [backing] = copies as [BlockLayer];
    await images.createDelta({ path, virtualBytes, backing: { ...backing, relativePath: backing.path } });
    disks.push({ ...common, layers: [{ format: 'qcow2', path }, ...copies], copied: 'top' });
  }
  assert.ok(disks.length > 0);
  const nvramPath = join(folder, 'nvram');
  return { disks, lockPath: join(folder, 'vm.lck'), nvramPath };
}
