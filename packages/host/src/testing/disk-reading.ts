import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { readDiskChain } from '@hypostyle/services';
import { fakeBackingOf, readFakeBlock } from './fake-disks.ts';

/** Blocks of the fakes from one to the next that is told apart from it in what changed. */
export const blockStride = 128;

/** What a disk of the fakes has in its first blocks, or in every so many, as its descriptors say; the engine that runs on it is not asked. */
export async function readFakeDisk(descriptorPath: string, blocks: number, stride = 1): Promise<number[]> {
  const { links } = await readDiskChain(descriptorPath, { allowOutside: () => true });
  // What an image says of its backing is for those who know nothing of descriptors: it must be the same.
  for (const [index, { kind, layer }] of links.entries()) {
    const below = links[index + 1]?.layer.path;
    if (kind === 'delta' && below !== fakeBackingOf(layer.path))
      throw new Error(`${layer.path} calls its backing ${fakeBackingOf(layer.path)}, its descriptor ${below}`);
  }
  const layers = links.map(({ layer }) => layer);
  return Array.from({ length: blocks }, (_, block) => readFakeBlock(layers, block * stride));
}

/** Every file of a machine's folder that its `.vmx`, its snapshots or their chains name. */
export async function filesOfChains(folder: string, descriptors: readonly string[]): Promise<Set<string>> {
  const files = new Set<string>();
  for (const name of descriptors) {
    for (const { descriptorPath, extentPaths, changesPath } of (await readDiskChain(join(folder, name))).links) {
      const kept = changesPath === undefined ? [] : [changesPath];
      for (const path of [descriptorPath, ...extentPaths, ...kept]) files.add(path.slice(folder.length + 1));
    }
  }
  return files;
}

/** Names in a folder, without those that no client sees. */
export async function visibleFiles(folder: string): Promise<string[]> {
  const names = await readdir(folder);
  return names.filter((name) => !/^(\.hypo.*|\..*\.tmp|hypostyle\.log)$/.test(name)).sort();
}
