import type { Generation } from '@hypostyle/contracts';
import { qemuErrors } from '../errors.ts';
import type { Engine } from '../machine/engine.ts';
import { isObject } from '../qmp/qmp-message.ts';
import { findDiskNodes } from './disk-nodes.ts';

type Monitor = Pick<Engine, 'execute'>;

/** One layer of a disk of a running engine. */
export interface DiskLayer {
  readonly path: string;
  /** Node that has the layer's bytes for those above. */
  readonly node: string;
  readonly readOnly: boolean;
  /** Its bytes are in a raw file, and the node's own image keeps what changed. */
  readonly overBytes: boolean;
  /** Its image can keep bitmaps. */
  readonly keeps: boolean;
  readonly virtualBytes: number;
  readonly generations: readonly Generation[];
}

/** The layers of a disk, top first, with what they keep of changes. Rejects with `block-failed`. */
export async function readDiskLayers(engine: Monitor, diskId: string): Promise<DiskLayer[]> {
  const { top, prefix } = await findDiskNodes(engine, diskId);
  // Not flat: each node then tells the name of the file that it lies on.
  const answer = await engine.execute('query-named-block-nodes');
  const nodes = new Map<string, Record<string, unknown>>();
  for (const node of Array.isArray(answer) ? answer : [])
    if (isObject(node)) nodes.set(String(node['node-name']), node);
  const layers: DiskLayer[] = [];
  const byFile = new Map<unknown, string>();
  for (const [name, node] of nodes) {
    if (name.startsWith(`${prefix}-`) && nodes.has(`${name}-file`)) byFile.set(node.file, name);
  }
  // A job's own node lies on top while it works, and calls itself as what it lies on.
  let next = nodes.has(`${top}-file`) ? top : byFile.get(nodes.get(top)?.file);
  while (next !== undefined && layers.length <= nodes.size) {
    const node = nodes.get(next);
    const file = nodes.get(`${next}-file`);
    if (node === undefined || file === undefined) break;
    const image = isObject(node.image) ? node.image : {};
    layers.push({
      path: String(file.file),
      node: next,
      readOnly: node.ro === true,
      overBytes: nodes.has(`${next}-bytes`),
      keeps: node.drv === 'qcow2',
      virtualBytes: Number(image['virtual-size']),
      generations: generationsOf(node),
    });
    const below = image['backing-image'];
    next = isObject(below) ? byFile.get(below.filename) : undefined;
  }
  if (layers.length === 0) throw qemuErrors.blockFailed(`The layers of disk ${diskId} are not known.`);
  return layers;
}

function generationsOf(node: Record<string, unknown>): Generation[] {
  const bitmaps = node['dirty-bitmaps'];
  return (Array.isArray(bitmaps) ? bitmaps : [])
    .filter(isObject)
    .filter(({ name, persistent }) => typeof name === 'string' && persistent === true)
    .map((bitmap) => ({
      name: String(bitmap.name),
      recording: bitmap.recording === true,
      consistent: bitmap.inconsistent !== true,
    }));
}
