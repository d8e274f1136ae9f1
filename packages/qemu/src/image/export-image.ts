import { rm } from 'node:fs/promises';
import type { BlockLayer, DiskExport, ImageTool } from '@hypostyle/contracts';
import { messageOf, qemuErrors } from '../errors.ts';
import { deepGraph } from '../machine/block-graph.ts';
import type { ProgramRunner } from './program-runner.ts';

/** `ImageTool.exportDisk` by `qemu-storage-daemon`, which the kernel ends with whoever started it. */
export async function exportImage(
  run: ProgramRunner,
  { layers, socketPath, writable = false, generations = [] }: Parameters<ImageTool['exportDisk']>[0],
): Promise<DiskExport> {
  const [top] = layers;
  if (top === undefined || (writable && (top.format === 'vmdk' || top.offset !== undefined))) {
    throw qemuErrors.imageFailed(`${top?.path ?? 'No layer'} cannot be exported for writing.`);
  }
  // A comma would begin another option.
  if (socketPath.includes(',')) throw qemuErrors.imageFailed(`${socketPath} is no path for a socket: it has a comma.`);
  const access = { 'read-only': !writable, ...(writable ? { discard: 'unmap' } : {}) };
  const graph = { ...deepGraph(layers as readonly [BlockLayer, ...BlockLayer[]]), 'node-name': 'disk', ...access };
  // A merge that was not finished leaves a generation in two layers: the upper one, found first, has all of it.
  const bitmaps = generations.length === 0 ? {} : { bitmaps: generations };
  const exported = { type: 'nbd', id: 'disk', 'node-name': 'disk', name: 'disk', writable, ...bitmaps };
  const stop = new AbortController();
  const ready = Promise.withResolvers<void>();
  const ended = run(
    [
      ...['setpriv', '--pdeathsig', 'KILL', 'qemu-storage-daemon', '--blockdev', JSON.stringify(graph)],
      ...['--nbd-server', `addr.type=unix,addr.path=${socketPath},max-connections=16`],
      ...['--export', JSON.stringify(exported)],
      // Its greeting says that all before is done.
      ...['--chardev', 'stdio,id=greeting', '--monitor', 'chardev=greeting'],
    ],
    { signal: stop.signal, onOutput: () => ready.resolve() },
  );
  ended.then(() => ready.reject(new Error('it ended')), ready.reject);
  try {
    await ready.promise;
  } catch (cause) {
    throw qemuErrors.imageFailed(`${top.path} cannot be exported: ${messageOf(cause)}`, cause);
  }
  return {
    socketPath,
    exportName: 'disk',
    close: async () => {
      stop.abort();
      await ended.catch(() => {});
      await rm(socketPath, { force: true });
    },
  };
}
