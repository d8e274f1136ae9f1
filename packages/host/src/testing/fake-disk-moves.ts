import { readFileSync, writeFileSync } from 'node:fs';
import { type BlockLayer, type DiskMove, HypervisorError, type MachineMove } from '@hypostyle/contracts';
import { checkFakeLayers, fakeBlocksOf, writeFakeBlock } from './fake-disks.ts';
import type { FakeComputer, FakeEngine } from './fake-engine.ts';

/** An engine that moves its disks, and the process that asked for it. */
export interface FakeMover {
  readonly engine: FakeEngine;
  readonly computer: Pick<FakeComputer, 'engines'>;
  /** Waits where the process may die; throws when the engine is gone. */
  readonly step: () => Promise<void>;
  /** The guest stands still, or goes on. */
  readonly stands: (still: boolean) => void;
}

/** `RunningMachine.moveDisks`, one step after another. */
export async function moveFakeDisks(mover: FakeMover, move: MachineMove): Promise<void> {
  const { engine, computer, step, stands } = mover;
  const { lockPath = engine.lockPath, signal } = move;
  const other = computer.engines.get(lockPath);
  if (other !== undefined && other !== engine) throw new HypervisorError('locked', `${lockPath} is locked`);
  computer.engines.set(lockPath, engine);
  const before = new Map(engine.disks);
  try {
    for (const [index, disk] of move.disks.entries()) {
      if (!engine.pivoting) signal?.throwIfAborted();
      await mirror(mover, disk);
      move.onProgress?.((index + 1) / move.disks.length);
    }
    await step();
    if (!engine.pivoting) signal?.throwIfAborted();
  } catch (error) {
    engine.mirrors.clear();
    if (engine.lockPath !== lockPath && computer.engines.get(lockPath) === engine) computer.engines.delete(lockPath);
    throw error;
  }
  engine.pivoting = true;
  stands(true);
  await step();
  for (const { diskId, layers } of move.disks) {
    engine.disks.set(diskId, layers);
    engine.mirrors.delete(diskId);
    await step();
  }
  try {
    await move.onMoved();
  } catch (error) {
    for (const [diskId, layers] of before) engine.disks.set(diskId, layers);
    if (engine.lockPath !== lockPath) computer.engines.delete(lockPath);
    stands(false);
    throw new HypervisorError('block-failed', String(error), { cause: error });
  }
  await step();
  if (engine.lockPath !== lockPath) computer.engines.delete(engine.lockPath);
  engine.lockPath = lockPath;
  stands(false);
  await step();
}

/** From its end on everything that is written to the disk is written to both. */
async function mirror({ engine, step }: FakeMover, { diskId, layers, copied, from }: DiskMove): Promise<void> {
  const now = engine.disks.get(diskId);
  const [top] = layers;
  if (now === undefined || top === undefined) throw new HypervisorError('block-failed', `no disk ${diskId}`);
  if (now[0]?.path === top.path || engine.mirrors.has(diskId)) return;
  if (now[0]?.path !== from) throw new HypervisorError('block-failed', `${from} is not the top of ${diskId}`);
  checkFakeLayers(layers);
  await step();
  copy(now, top, copied);
  engine.mirrors.set(diskId, top);
  await step();
}

function copy(layers: readonly BlockLayer[], top: BlockLayer, copied: DiskMove['copied']): void {
  const base = layers.at(-1);
  if (copied === 'all' && base !== undefined) writeFileSync(top.path, readFileSync(base.path));
  const deltas = copied === 'all' ? layers.slice(0, -1) : layers.slice(0, 1);
  for (const layer of [...deltas].reverse())
    for (const [block, value] of fakeBlocksOf(layer)) writeFakeBlock(top, block, value);
}
