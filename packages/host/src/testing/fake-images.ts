import { writeFile } from 'node:fs/promises';
import { HypervisorError, type ImageTool } from '@hypostyle/contracts';
import {
  copyFakeDisk,
  emptyFakeChanges,
  emptyFakeDelta,
  fakeBlocksOf,
  renameFakeBacking,
  writeFakeBlock,
} from './fake-disks.ts';
import type { FakeComputer, Gate } from './fake-engine.ts';
import {
  beginFakeGeneration,
  closeFakeLayers,
  fakeGenerationsOf,
  forgetFakeGenerations,
  openFakeLayers,
  passFakeGenerations,
} from './fake-generations.ts';

/** Tools for the disks of machines that do not run; they live in the daemon's process, and die with it. */
export function fakeImages(computer: FakeComputer, gate: Gate): ImageTool {
  return {
    createDelta: async ({ path, backing }) => writeFile(path, emptyFakeDelta(backing.relativePath), { flag: 'wx' }),
    inspect: async () => ({ virtualBytes: 0, allocatedBytes: 0 }),
    commit: async ({ layers: [top, base] }) => {
      if (top === undefined || base === undefined) throw new HypervisorError('image-failed', 'nothing to merge into');
      // A tool that is killed leaves what it had open inconsistent.
      openFakeLayers([base]);
      passFakeGenerations(top, base);
      for (const [block, value] of fakeBlocksOf(top)) {
        await gate();
        writeFakeBlock(base, block, value);
      }
      closeFakeLayers([base]);
      await gate();
    },
    copyDisk: async ({ layers, path, signal, onProgress }) => {
      await gate();
      signal?.throwIfAborted();
      copyFakeDisk(layers, path);
      onProgress?.(0.5);
      await gate();
      signal?.throwIfAborted();
    },
    exportDisk: async ({ layers, writable = false, generations = [] }) => {
      try {
        if (writable) openFakeLayers(layers);
        const exported = await computer.exports.add(() => layers, { writable, generations });
        const close = async () => {
          await exported.close();
          if (writable) closeFakeLayers(layers);
        };
        return { ...exported, close };
      } catch (error) {
        throw new HypervisorError('image-failed', String(error), { cause: error });
      }
    },
    createChangeLayer: async ({ path }) => {
      await gate();
      await writeFile(path, emptyFakeChanges(), { flag: 'wx' });
      await gate();
    },
    beginGeneration: async (layer, generation) => {
      await gate();
      // What an engine that was killed left open says nothing any more, and goes.
      openFakeLayers([layer]);
      beginFakeGeneration(layer, generation);
      closeFakeLayers([layer]);
      await gate();
    },
    generations: async (layers) => fakeGenerationsOf(layers, false),
    forgetGenerations: async (layer, names) => {
      await gate();
      forgetFakeGenerations(layer, names);
      await gate();
    },
    setBacking: async ({ path, backing }) => {
      await gate();
      renameFakeBacking(path, backing.relativePath);
    },
  };
}
