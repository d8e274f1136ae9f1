import { basename, dirname, join } from 'node:path';
import type { DiskOverlay } from '../block-work.ts';
import type { BlockLayer } from '../hardware.ts';
import type { ImageTool, StartRequest } from '../hypervisor.ts';

/** An overlay over the top of each disk of a machine, or over those of the round before. */
export async function makeOverlays(
  images: ImageTool,
  { hardware }: StartRequest,
  round: number,
): Promise<DiskOverlay[]> {
  const made: DiskOverlay[] = [];
  for (const { id, layers } of hardware.disks) {
    const [top] = layers as [BlockLayer];
    const named = (number: number): BlockLayer =>
      number === 0 ? top : { format: 'qcow2', path: join(dirname(top.path), `${id}-${number}.qcow2`) };
    const backing = named(round - 1);
    const { virtualBytes } = await images.inspect(top);
    const layer = named(round);
    await images.createDelta({
      path: layer.path,
      virtualBytes,
      backing: { ...backing, relativePath: basename(backing.path) },
    });
    made.push({ diskId: id, layer });
  }
  return made;
}
