import { type FileHandle, open, rm, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import type { BlockLayer, ImageTool } from '@hypostyle/contracts';
import { messageOf, qemuErrors } from '../errors.ts';
import { createChangeLayer } from './change-layer.ts';
import { commitImages } from './commit-images.ts';
import { copyDisk } from './copy-disk.ts';
import { exportImage } from './export-image.ts';
import { beginImageGeneration, forgetImageGenerations, imageGenerations } from './image-generations.ts';
import type { ProgramRunner } from './program-runner.ts';
import { qcow2VirtualBytes, writeEmptyQcow2 } from './qcow2.ts';
import { maxDescriptorBytes, parseVmdkSize } from './vmdk-size.ts';

/** Most extent files of one disk that are looked at. */
const maxExtents = 4096;

/** Small work on images is done here; what copies bytes is left to `qemu-img`, which `run` starts. */
export function imageTool(run: ProgramRunner): ImageTool {
  return {
    createDelta,
    inspect: inspectImage,
    commit: (options) => commitImages(run, options),
    copyDisk: (options) => copyDisk(run, options),
    exportDisk: (options) => exportImage(run, options),
    createChangeLayer: (options) => createChangeLayer(run, options),
    beginGeneration: (layer, generation) => beginImageGeneration(run, layer, generation),
    generations: imageGenerations,
    forgetGenerations: (layer, names) => forgetImageGenerations(run, layer, names),
    setBacking: ({ path, backing }) => setBacking(run, path, backing),
  };
}

async function createDelta({ path, virtualBytes, backing }: Parameters<ImageTool['createDelta']>[0]): Promise<void> {
  await createImage(path, { virtualBytes, backing: { name: backingName(backing), format: backing.format } });
}

/** `ImageTool.inspect`. */
export async function inspectImage(layer: BlockLayer): ReturnType<ImageTool['inspect']> {
  try {
    return await inspect(layer);
  } catch (cause) {
    throw qemuErrors.imageFailed(`${layer.path} cannot be read: ${messageOf(cause)}`, cause);
  }
}

async function setBacking(
  run: ProgramRunner,
  path: string,
  backing: BlockLayer & { readonly relativePath: string },
): Promise<void> {
  try {
    await run(['qemu-img', 'rebase', '-u', '-f', 'qcow2', '-F', backing.format, '-b', backingName(backing), path], {});
  } catch (cause) {
    throw qemuErrors.imageFailed(`${path} cannot be given another backing: ${messageOf(cause)}`, cause);
  }
}

/** Makes a qcow2 image that must not exist yet; nothing is left of it on failure. Rejects with `image-failed`. */
export async function createImage(path: string, layout: Parameters<typeof writeEmptyQcow2>[1]): Promise<void> {
  let file: FileHandle | undefined;
  try {
    file = await open(path, 'wx', 0o600);
    await writeEmptyQcow2(file, layout);
    await file.close();
  } catch (cause) {
    await file?.close().catch(() => {});
    if (file) await rm(path, { force: true });
    throw qemuErrors.imageFailed(`${path} cannot be made: ${messageOf(cause)}`, cause);
  }
}

/** A disk inside an archive has no path of its own: what QEMU takes instead is a description of the block graph. */
function backingName(backing: BlockLayer & { readonly relativePath: string }): string {
  if (backing.offset === undefined && backing.length === undefined) return backing.relativePath;
  const file = { driver: 'file', filename: backing.path };
  const size = backing.length === undefined ? {} : { size: backing.length };
  const slice = { driver: 'raw', offset: backing.offset ?? 0, ...size, file };
  return `json:${JSON.stringify({ driver: backing.format, file: slice })}`;
}

async function inspect(layer: BlockLayer): Promise<{ virtualBytes: number; allocatedBytes: number }> {
  const file = await open(layer.path, 'r');
  try {
    const { size, blocks } = await file.stat();
    const offset = layer.offset ?? 0;
    const available = Math.max(0, size - offset);
    const length = Math.min(layer.length ?? available, available);
    const allocatedBytes = layer.offset === undefined ? blocks * 512 : length;
    if (layer.format === 'raw') return { virtualBytes: length, allocatedBytes };
    if (layer.format === 'qcow2') {
      const virtualBytes = qcow2VirtualBytes(await readAt(file, offset, Math.min(length, 32)));
      if (virtualBytes === undefined) throw new Error('it is not qcow2');
      return { virtualBytes, allocatedBytes };
    }
    const vmdk = parseVmdkSize(await readAt(file, offset, Math.min(length, maxDescriptorBytes)));
    if (!vmdk) throw new Error('it is not a VMDK that is known');
    let total = allocatedBytes;
    for (const extent of vmdk.extents.slice(0, maxExtents)) {
      const path = resolve(dirname(layer.path), extent);
      if (path !== layer.path) total += (await stat(path)).blocks * 512;
    }
    return { virtualBytes: vmdk.virtualBytes, allocatedBytes: total };
  } finally {
    await file.close();
  }
}

async function readAt(file: FileHandle, offset: number, length: number): Promise<Buffer> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, offset);
  return buffer.subarray(0, bytesRead);
}
