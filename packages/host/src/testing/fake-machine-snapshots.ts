import { existsSync } from 'node:fs';
import { rename, rm, writeFile } from 'node:fs/promises';
import {
  type BlockLayer,
  type DiskOverlay,
  HypervisorError,
  type MachineSnapshot,
  type MachineSnapshotTaken,
} from '@hypostyle/contracts';
import { checkFakeLayers } from './fake-disks.ts';
import type { FakeEngine } from './fake-engine.ts';
import { beginFakeGeneration, closeFakeLayers, openFakeLayers } from './fake-generations.ts';
import { fakeMemoryImage } from './fake-memory-image.ts';

/** Puts overlays on top of an engine's disks, all at once. */
export function putFakeOverlays({ disks }: FakeEngine, overlays: readonly DiskOverlay[]): void {
  checkFakeLayers(overlays.map(({ layer }) => layer));
  for (const { diskId } of overlays)
    if (!disks.has(diskId)) throw new HypervisorError('block-failed', `no disk ${diskId}`);
  for (const { diskId, layer, generation } of overlays) {
    const layers = disks.get(diskId) as readonly BlockLayer[];
    if (layers[0]?.path === layer.path) continue;
    closeFakeLayers(layers.slice(0, 1));
    openFakeLayers([layer]);
    if (generation !== undefined) beginFakeGeneration(layer, generation);
    disks.set(diskId, [layer, ...layers]);
  }
}

export function hasFakeOverlays({ disks }: FakeEngine, overlays: readonly DiskOverlay[]): boolean {
  return overlays.every(({ diskId, layer }) => disks.get(diskId)?.[0]?.path === layer.path);
}

/** `RunningMachine.snapshotMachine`; `step` is where a process may die, or the engine end. */
export async function takeFakeSnapshot(
  engine: FakeEngine,
  { overlays, path, onProgress }: MachineSnapshot,
  { step, saveFails }: { readonly step: () => Promise<void>; readonly saveFails: () => Error | undefined },
): Promise<MachineSnapshotTaken> {
  if (existsSync(path)) {
    engine.saving = undefined;
    return { background: true };
  }
  const partial = `${path}.partial`;
  if (engine.saving?.path !== path) {
    if (overlays.length > 0 && hasFakeOverlays(engine, overlays))
      throw new HypervisorError('memory-failed', 'the memory of that moment is lost');
    putFakeOverlays(engine, overlays);
    engine.saving = { path, memory: engine.memory };
    await step();
  }
  const failure = saveFails();
  if (failure !== undefined) {
    engine.saving = undefined;
    await step();
    await rm(partial, { force: true });
    throw failure;
  }
  await writeFile(partial, fakeMemoryImage(engine, engine.saving.memory));
  await step();
  onProgress?.(0.5);
  await rename(partial, path);
  await step();
  engine.saving = undefined;
  return { background: true };
}
