import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import type { DiskOverlay } from '@hypostyle/contracts';
import { messageOf, qemuErrors } from '../errors.ts';
import type { BlockNode } from '../machine/block-graph.ts';
import type { Engine } from '../machine/engine.ts';
import { dropLayer, findDiskNodes } from './disk-nodes.ts';
import { beginGeneration } from './generations.ts';

/** Overlays that the engine has open, beside the disks that they are to lie on. */
export interface OpenedOverlays {
  /** Puts all on top in one transaction. Rejects with `block-failed`. */
  put(): Promise<void>;
  /** Takes those out of the engine again that were not put. */
  drop(): Promise<void>;
}

/** Puts overlays on top of disks in one transaction. Rejects with `block-failed`: all disks are then as they were. */
export async function snapshotDisks(engine: Engine, overlays: readonly DiskOverlay[]): Promise<void> {
  const opened = await openOverlays(engine, overlays);
  try {
    await opened.put();
  } catch (error) {
    await opened.drop();
    throw error;
  }
}

/** Opens overlays, as far as an earlier call has not put them already. Rejects with `block-failed`. */
export async function openOverlays(engine: Engine, overlays: readonly DiskOverlay[]): Promise<OpenedOverlays> {
  const actions: { readonly type: string; readonly data: object }[] = [];
  const added: string[] = [];
  const drop = async () => {
    for (const name of added) await dropLayer(engine, name).catch(() => false);
  };
  const failed = (error: unknown) =>
    qemuErrors.blockFailed(`No snapshot of the disks was made: ${messageOf(error)}`, error);
  try {
    for (const { diskId, layer, generation } of overlays) {
      const nodes = await findDiskNodes(engine, diskId);
      const known = nodes.layer(layer.path);
      // An earlier call came so far, or to its end.
      if (known !== undefined && known === nodes.top) continue;
      if (known !== undefined && !(await dropLayer(engine, known))) {
        // What a process asked for that was killed may have been done just now.
        if (await hasOverlays(engine, [{ diskId, layer }])) continue;
        throw qemuErrors.blockFailed(`${layer.path} is a layer of the disk already.`);
      }
      const overlay = nodes.newName(layer.path);
      await addOverlay(engine, overlay, layer.path);
      added.push(overlay);
      actions.push({ type: 'blockdev-snapshot', data: { node: nodes.top, overlay } });
      if (generation !== undefined) actions.push(beginGeneration(overlay, generation));
    }
  } catch (error) {
    await drop();
    throw failed(error);
  }
  return {
    put: async () => {
      if (actions.length === 0) return;
      await engine.execute('transaction', { actions }).catch((error: unknown) => {
        throw failed(error);
      });
    },
    drop,
  };
}

/** Whether all of these lie on top of their disks. */
export async function hasOverlays(engine: Engine, overlays: readonly DiskOverlay[]): Promise<boolean> {
  for (const { diskId, layer } of overlays) {
    const nodes = await findDiskNodes(engine, diskId);
    if (nodes.layer(layer.path) !== nodes.top) return false;
  }
  return true;
}

/** Opens an image that is to be an overlay: what lies below is said when it is put on top. */
export async function addOverlay(engine: Pick<Engine, 'execute'>, name: string, path: string): Promise<void> {
  const access = { 'read-only': false, discard: 'unmap' };
  const direct = (await takesDirectIo(path)) ? { cache: { direct: true } } : {};
  const file: BlockNode = { driver: 'file', 'node-name': `${name}-file`, filename: path, ...access, ...direct };
  const image: BlockNode = { driver: 'qcow2', 'node-name': name, file: `${name}-file`, backing: null, ...access };
  // The engine does one after the other: an image whose file it does not take is refused as well.
  const [opened, added] = await Promise.allSettled([
    engine.execute('blockdev-add', file),
    engine.execute('blockdev-add', image),
  ]);
  if (opened.status === 'rejected') throw opened.reason;
  if (added.status === 'fulfilled') return;
  await engine.execute('blockdev-del', { 'node-name': `${name}-file` }).catch(() => {});
  throw added.reason;
}

/** Whether the file system of a file takes O_DIRECT. */
export async function takesDirectIo(path: string): Promise<boolean> {
  try {
    await (await open(path, constants.O_RDONLY | constants.O_DIRECT)).close();
    return true;
  } catch {
    return false;
  }
}
