import { createHash } from 'node:crypto';
import { qemuErrors } from '../errors.ts';
import { diskIdOf } from '../machine/device.ts';
import type { Engine } from '../machine/engine.ts';
import { isObject } from '../qmp/qmp-message.ts';

/** The block nodes of one disk of a running engine. */
export interface DiskNodes {
  /** Node that the guest's device uses; a job's own while one works on it. */
  readonly top: string;
  /** The names of all nodes of the disk begin with it and a hyphen. */
  readonly prefix: string;
  /** Node of the layer in that file; undefined when there is none. */
  layer(path: string): string | undefined;
  /** Whether the layer of that node keeps what changes beside its file. */
  keepsChanges(node: string): boolean;
  /** Name of the node of a layer that is new. */
  newName(path: string): string;
}

type Monitor = Pick<Engine, 'execute'>;

/** Looks up the nodes of a disk. Rejects with `block-failed` when the machine has no such disk. */
export async function findDiskNodes(engine: Monitor, diskId: string): Promise<DiskNodes> {
  const [devices, nodes] = await Promise.all([
    engine.execute('query-block'),
    engine.execute('query-named-block-nodes', { flat: true }),
  ]);
  const top = topNode(devices, diskId);
  // The names of all of a disk's nodes begin alike: `disk0-1`, `disk0-1-file`.
  const prefix = /^(disk\d+)-/.exec(top)?.[1];
  if (prefix === undefined) throw qemuErrors.blockFailed(`Disk ${diskId} has a node ${top} that is not known.`);
  const byPath = new Map<string, string>();
  const names = new Set<unknown>();
  for (const node of Array.isArray(nodes) ? nodes : []) {
    if (isObject(node)) names.add(node['node-name']);
    if (!isObject(node) || node.drv !== 'file' || typeof node.file !== 'string') continue;
    const name = String(node['node-name']);
    if (name.startsWith(`${prefix}-`) && name.endsWith('-file')) byPath.set(node.file, name.slice(0, -'-file'.length));
  }
  return {
    top,
    prefix,
    layer: (path) => byPath.get(path),
    keepsChanges: (node) => names.has(`${node}-changes`),
    newName: (path) => `${prefix}-${createHash('sha1').update(path).digest('hex').slice(0, 10)}`,
  };
}

function topNode(devices: unknown, diskId: string): string {
  for (const device of Array.isArray(devices) ? devices : []) {
    if (!isObject(device) || typeof device.qdev !== 'string' || diskIdOf(device.qdev) !== diskId) continue;
    const inserted = isObject(device.inserted) ? device.inserted['node-name'] : undefined;
    if (typeof inserted === 'string') return inserted;
  }
  throw qemuErrors.blockFailed(`The machine has no disk ${diskId}.`);
}

/** Takes a layer's nodes out of the engine. False: it is still in use. */
export async function dropLayer(engine: Monitor, name: string): Promise<boolean> {
  try {
    await engine.execute('blockdev-del', { 'node-name': name });
  } catch {
    // A call that was cut off may have come no further than to its parts.
    const nodes = await engine.execute('query-named-block-nodes', { flat: true });
    if (!Array.isArray(nodes) || nodes.some((node) => isObject(node) && node['node-name'] === name)) return false;
  }
  for (const part of ['changes', 'bytes', 'slice', 'file']) {
    await engine.execute('blockdev-del', { 'node-name': `${name}-${part}` }).catch(() => {});
  }
  return true;
}
