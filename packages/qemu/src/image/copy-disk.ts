import { open, stat, writeFile } from 'node:fs/promises';
import type { BlockLayer, DiskCopying } from '@hypostyle/contracts';
import { messageOf, qemuErrors } from '../errors.ts';
import { deepGraph } from '../machine/block-graph.ts';
import type { ProgramRunner } from './program-runner.ts';

type Copy = Parameters<DiskCopying['copyDisk']>[0];

/** A whole file of so many bytes is copied here: starting a program takes longer. */
const smallBytes = 1 << 20;
/** How often the growth of a file is looked at, in milliseconds. */
const lookInterval = 500;

/**
 * `ImageTool.copyDisk`: a plain file by `cp`, which shares blocks (FICLONE) or copies what is stored within the kernel
 * (SEEK_DATA, copy_file_range), or here where it is small and has no holes; anything else by `qemu-img convert`.
 */
export async function copyDisk(run: ProgramRunner, copy: Copy): Promise<void> {
  const { layers, path, signal } = copy;
  const [top, ...below] = layers;
  if (top === undefined) throw qemuErrors.imageFailed(`There is nothing to be copied to ${path}.`);
  signal?.throwIfAborted();
  const plain = top.format === 'raw' && below.length === 0 && top.offset === undefined && top.changesPath === undefined;
  try {
    const file = await open(path, 'wx', 0o600);
    await file.close();
    await (plain ? copyFile(run, top, copy) : convert(run, copy));
    const copied = await open(path, 'r+');
    try {
      await copied.sync();
    } finally {
      await copied.close();
    }
  } catch (cause) {
    if (signal?.aborted) throw signal.reason;
    throw qemuErrors.imageFailed(`${top.path} was not copied to ${path}: ${messageOf(cause)}`, cause);
  }
}

async function copyFile(run: ProgramRunner, source: BlockLayer, copy: Copy): Promise<void> {
  const { path, sparse = false, signal, onProgress } = copy;
  const { blocks, size } = await stat(source.path);
  // What has no holes is not looked through for them.
  const holes = sparse ? 'always' : blocks * 512 < size ? 'auto' : 'never';
  if (holes === 'never' && size <= smallBytes) return await copySmall(source.path, path, size);
  const looking = setInterval(() => {
    stat(path).then(
      (now) => onProgress?.(Math.min(1, now.blocks / Math.max(1, blocks))),
      () => {},
    );
  }, lookInterval);
  try {
    await run(['cp', '--reflink=auto', `--sparse=${holes}`, '--', source.path, path], signal ? { signal } : {});
  } finally {
    clearInterval(looking);
  }
}

/** What is added to it meanwhile, as to a log, is left out. */
async function copySmall(from: string, to: string, size: number): Promise<void> {
  if (size === 0) return;
  const source = await open(from, 'r');
  try {
    const { buffer, bytesRead } = await source.read(Buffer.alloc(size), 0, size, 0);
    await writeFile(to, buffer.subarray(0, bytesRead));
  } finally {
    await source.close();
  }
}

async function convert(run: ProgramRunner, { layers, path, signal, onProgress }: Copy): Promise<void> {
  const graph = `json:${JSON.stringify(deepGraph(layers as readonly [BlockLayer, ...BlockLayer[]]))}`;
  await run(['qemu-img', 'convert', '-p', '-m', '8', '-W', '-t', 'writeback', '-O', 'raw', graph, path], {
    ...(signal ? { signal } : {}),
    onOutput: (text) => {
      const percent = /(\d+(?:\.\d+)?)\/100%[^%]*$/.exec(text)?.[1];
      if (percent !== undefined) onProgress?.(Number(percent) / 100);
    },
  });
}
