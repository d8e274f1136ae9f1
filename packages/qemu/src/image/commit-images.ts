import type { BlockLayer, ImageTool } from '@hypostyle/contracts';
import { messageOf, qemuErrors } from '../errors.ts';
import { deepGraph } from '../machine/block-graph.ts';
import { passImageGenerations } from './image-generations.ts';
import type { ProgramRunner } from './program-runner.ts';

/** `ImageTool.commit` by `qemu-img`. Every layer is named: nothing is left to what an image says of itself. */
export async function commitImages(
  run: ProgramRunner,
  { layers, signal, onProgress }: Parameters<ImageTool['commit']>[0],
): Promise<void> {
  const [top, base] = layers;
  if (top?.format !== 'qcow2' || base === undefined || base.format === 'vmdk' || base.offset !== undefined) {
    throw qemuErrors.imageFailed(`${top?.path ?? 'No layer'} cannot be merged into ${base?.path ?? 'nothing'}.`);
  }
  const graph = `json:${JSON.stringify(deepGraph(layers as readonly [BlockLayer, ...BlockLayer[]]))}`;
  try {
    await passImageGenerations(run, top, base);
    // The top is not emptied: until it is deleted, it is as good as the base.
    await run(['qemu-img', 'commit', '-d', '-p', '-t', 'writeback', graph], {
      ...(signal ? { signal } : {}),
      onOutput: (text) => {
        const percent = /(\d+(?:\.\d+)?)\/100%[^%]*$/.exec(text)?.[1];
        if (percent !== undefined) onProgress?.(Number(percent) / 100);
      },
    });
  } catch (cause) {
    if (signal?.aborted && cause === signal.reason) throw cause;
    throw qemuErrors.imageFailed(`${top.path} was not merged into ${base.path}: ${messageOf(cause)}`, cause);
  }
}
