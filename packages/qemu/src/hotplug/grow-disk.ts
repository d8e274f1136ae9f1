import { findDiskNodes } from '../blocks/disk-nodes.ts';
import { messageOf, qemuErrors } from '../errors.ts';
import type { Engine } from '../machine/engine.ts';

/** Tells a guest that its disk is larger: `HotPlug.growDisk`. */
export async function growDisk(engine: Engine, diskId: string, virtualBytes: number): Promise<void> {
  try {
    const { top } = await findDiskNodes(engine, diskId);
    await engine.execute('block_resize', { 'node-name': top, size: virtualBytes });
  } catch (error) {
    throw qemuErrors.hotPlugFailed(`Disk ${diskId} could not be made larger: ${messageOf(error)}`, error);
  }
}
