import { randomBytes } from 'node:crypto';
import { chmod } from 'node:fs/promises';
import type { DiskExport } from '@hypostyle/contracts';
import { messageOf, qemuErrors } from '../errors.ts';
import type { Engine } from '../machine/engine.ts';
import { findDiskNodes } from './disk-nodes.ts';

/** Most clients of one engine's disks. */
const maximumConnections = 16;

/** Exports a disk of a running engine for reading (`RunningMachine.exportDisk`). */
export async function exportDisk(engine: Engine, diskId: string): Promise<DiskExport> {
  try {
    const { top } = await findDiskNodes(engine, diskId);
    await startServer(engine);
    const id = `read-${randomBytes(6).toString('hex')}`;
    await engine.execute('block-export-add', { type: 'nbd', id, 'node-name': top, name: id, writable: false });
    return { socketPath: engine.run.exports, exportName: id, close: () => closeExport(engine, id) };
  } catch (error) {
    throw qemuErrors.blockFailed(`Disk ${diskId} cannot be exported: ${messageOf(error)}`, error);
  }
}

/** One server an engine. It stays when its exports end, and does the engine no harm. */
async function startServer(engine: Engine): Promise<void> {
  const { exports: path } = engine.run;
  try {
    const addr = { type: 'unix', data: { path } };
    await engine.execute('nbd-server-start', { addr, 'max-connections': maximumConnections });
    // Its folder is closed to others already.
    await chmod(path, 0o600);
  } catch (error) {
    // An earlier export, or an earlier owner of the machine, has started it.
    if (!/already running/i.test(messageOf(error))) throw error;
  }
}

async function closeExport(engine: Engine, id: string): Promise<void> {
  if (engine.isGone) return;
  await engine.execute('block-export-del', { id, mode: 'hard' }).catch(() => {});
}
