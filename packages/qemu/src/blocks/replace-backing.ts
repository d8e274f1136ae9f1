import type { BackingChange } from '@hypostyle/contracts';
import { messageOf, qemuErrors } from '../errors.ts';
import type { BlockNode } from '../machine/block-graph.ts';
import type { Engine } from '../machine/engine.ts';
import { isObject } from '../qmp/qmp-message.ts';
import { dropLayer, findDiskNodes } from './disk-nodes.ts';
import { takesDirectIo } from './snapshot-disks.ts';

type Monitor = Pick<Engine, 'execute'>;

/**
 * Has a layer lie on another file (`RunningMachine.replaceBacking`). Its own node is opened again with the same
 * options and another backing, under the running guest.
 */
export async function replaceBacking(engine: Monitor, change: BackingChange): Promise<void> {
  const { diskId, path, former, backing } = change;
  try {
    const nodes = await findDiskNodes(engine, diskId);
    const layer = nodes.layer(path);
    if (layer === undefined) throw new Error(`${path} is no layer of disk ${diskId}`);
    const same = nodes.layer(backing.path);
    const keeps = backing.changesPath !== undefined;
    // A file that is to be written through an image from now on lies there by itself.
    const known = same !== undefined && nodes.keepsChanges(same) === keeps ? same : undefined;
    const name = known ?? nodes.newName(backing.changesPath ?? backing.path);
    if (known === undefined) await addBase(engine, name, backing);
    try {
      await engine.execute('blockdev-reopen', { options: [await reopened(engine, layer, name)] });
    } catch (error) {
      if (known === undefined) await dropLayer(engine, name);
      throw error;
    }
    const gone = nodes.layer(former);
    if (gone !== undefined && gone !== name) await dropLayer(engine, gone);
  } catch (error) {
    throw qemuErrors.blockFailed(`${path} was not put on ${backing.path}: ${messageOf(error)}`, error);
  }
}

/** A raw file that a layer above may be merged into: opened for writing when that is asked. */
async function addBase(
  engine: Monitor,
  name: string,
  { format, path, offset, changesPath }: BackingChange['backing'],
): Promise<void> {
  if (format !== 'raw' || offset !== undefined) throw new Error('only a raw file can take its place');
  const direct = (await takesDirectIo(path)) ? { cache: { direct: true } } : {};
  const forMerges = { 'read-only': false, 'auto-read-only': true, discard: 'unmap' };
  const access = { 'read-only': true, discard: 'unmap' };
  const file: BlockNode = { driver: 'file', 'node-name': `${name}-file`, filename: path, ...forMerges, ...direct };
  const plain: BlockNode = { driver: 'raw', 'node-name': name, file: `${name}-file`, ...access };
  const nodes: BlockNode[] = [file, plain];
  if (changesPath !== undefined) {
    const [bytes, changes] = [`${name}-bytes`, `${name}-changes`];
    nodes.splice(
      1,
      1,
      { ...plain, 'node-name': bytes },
      { driver: 'file', 'node-name': changes, filename: changesPath, ...forMerges },
      { driver: 'qcow2', 'node-name': name, file: changes, 'data-file': bytes, backing: null, ...access },
    );
  }
  const added: BlockNode[] = [];
  try {
    for (const node of nodes) {
      await engine.execute('blockdev-add', node);
      added.unshift(node);
    }
  } catch (error) {
    for (const node of added) await engine.execute('blockdev-del', { 'node-name': node['node-name'] }).catch(() => {});
    throw error;
  }
}

/** All options of a layer's node: what is not said would go back to its default. */
async function reopened(engine: Monitor, layer: string, backing: string): Promise<BlockNode> {
  const nodes = await engine.execute('query-named-block-nodes', { flat: true });
  const node: unknown = (Array.isArray(nodes) ? nodes : []).find(
    (one: unknown) => isObject(one) && one['node-name'] === layer,
  );
  const readOnly = !isObject(node) || node.ro === true;
  return {
    driver: 'qcow2',
    'node-name': layer,
    file: `${layer}-file`,
    backing,
    'read-only': readOnly,
    discard: 'unmap',
  };
}
