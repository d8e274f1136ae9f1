import { createHash } from 'node:crypto';
import { open, stat } from 'node:fs/promises';
import type { BlockLayer, DiskMove } from '@hypostyle/contracts';
import { qemuErrors } from '../errors.ts';
import { type BlockNode, layerNodes } from '../machine/block-graph.ts';
import type { Engine } from '../machine/engine.ts';
import { isObject } from '../qmp/qmp-message.ts';
import { dropLayer, findDiskNodes } from './disk-nodes.ts';
import { takesDirectIo } from './snapshot-disks.ts';

type Monitor = Pick<Engine, 'execute'>;

/** What a device of the guest lies on, on its way to another file. */
export interface NodeMove {
  readonly jobId: string;
  /** Node that the device uses now: a job's own while that works. */
  readonly top: string;
  /** Nodes that the device used before, and will use. */
  readonly source: string | undefined;
  readonly target: string;
  /** The job's own node. */
  readonly filter: string;
  readonly copied: DiskMove['copied'];
  /** The device in the engine's object tree. */
  readonly device: string;
  /** The names of all nodes of the device begin so. */
  readonly prefix: string;
  readonly isMoved: boolean;
  /** Opens the new files. */
  open(): Promise<void>;
  /** Once the device uses them: opens its top as one that was there from the start. */
  settle(): Promise<void>;
}

/** A disk as it is now, and as it is to be. Rejects with `block-failed`. */
export async function diskMove(engine: Monitor, move: DiskMove): Promise<NodeMove> {
  const { diskId, jobId, from, layers, copied, room = 'kept' } = move;
  const nodes = await findDiskNodes(engine, diskId);
  const [first] = layers;
  if (first === undefined) throw qemuErrors.blockFailed(`Disk ${diskId} has no layer to go to.`);
  const target = nodes.newName(first.path);
  const directIo = await takesDirectIo(first.path);
  const device = await objectOf(engine, nodes.top);
  return {
    jobId,
    top: nodes.top,
    source: nodes.layer(from),
    target,
    filter: nodes.newName(`${first.path} move`),
    copied,
    device,
    prefix: `${nodes.prefix}-`,
    isMoved: nodes.top === target,
    open: async () => {
      let backing: string | null = null;
      for (const [at, layer] of [...layers.entries()].reverse()) {
        const name = nodes.newName(layer.path);
        const writable = at === 0;
        const mergeable = !writable && layer.format !== 'vmdk' && layer.offset === undefined;
        const made = layerNodes({ layer, name, backing, writable, mergeable, directIo });
        for (const node of made)
          await engine.execute('blockdev-add', writable && layer.format === 'raw' ? forCopying(node, room) : node);
        backing = name;
      }
    },
    settle: () => settle(engine, target, first, directIo),
  };
}

/** The firmware's variables; undefined where the machine keeps none, or keeps them there. */
export async function variablesMove(engine: Monitor, nvramPath: string): Promise<NodeMove | undefined> {
  const answer = await engine.execute('query-block');
  const drive: unknown = (Array.isArray(answer) ? answer : []).find((one: unknown) =>
    /^efi-variables/.test(nodeOf(one)),
  );
  if (drive === undefined) return undefined;
  const top = nodeOf(drive);
  const nodes = await engine.execute('query-named-block-nodes', { flat: true });
  const files = new Map<string, string>();
  for (const node of Array.isArray(nodes) ? nodes : [])
    if (isObject(node) && node.drv === 'file') files.set(String(node['node-name']), String(node.file));
  const pathOf = (name: string) => files.get(`${name}-file`);
  const now = [...files.keys()].filter((name) => /^efi-variables/.test(name));
  // A file of another maker has its name with a suffix.
  const suffix = now.some((name) => files.get(name)?.endsWith('.ovmf')) ? '.ovmf' : '';
  const path = `${nvramPath}${suffix}`;
  const target = `efi-variables-${createHash('sha1').update(path).digest('hex').slice(0, 10)}`;
  const source = now.map((name) => name.slice(0, -'-file'.length)).find((name) => pathOf(name) !== path);
  if (source === undefined) return undefined;
  return {
    jobId: `move-${target}`,
    top,
    source,
    target,
    filter: 'efi-variables-move',
    copied: 'all',
    device: String(isObject(drive) ? drive.qdev : ''),
    prefix: 'efi-variables',
    isMoved: top === target,
    open: async () => {
      const { size } = await stat(pathOf(source) ?? '');
      await (await open(path, 'w', 0o600)).truncate(size);
      const access = { 'read-only': false };
      await engine.execute('blockdev-add', {
        driver: 'file',
        'node-name': `${target}-file`,
        filename: path,
        ...access,
      });
      await engine.execute('blockdev-add', { driver: 'raw', 'node-name': target, file: `${target}-file`, ...access });
    },
    settle: async () => {},
  };
}

/** Takes nodes of a device out of the engine that it does not use, tops first. */
export async function dropUnused(engine: Monitor, prefix: string): Promise<void> {
  for (let dropped = true; dropped; ) {
    dropped = false;
    const nodes = await engine.execute('query-named-block-nodes', { flat: true });
    const names = (Array.isArray(nodes) ? nodes : []).map((node: unknown) =>
      String(isObject(node) ? node['node-name'] : ''),
    );
    for (const name of names) {
      // What is in use the engine does not let go of.
      if (name.startsWith(prefix) && names.includes(`${name}-file`))
        dropped = (await dropLayer(engine, name)) || dropped;
    }
    // A file whose layer was never opened.
    for (const name of names)
      if (name.startsWith(prefix) && name.endsWith('-file') && !names.includes(name.slice(0, -'-file'.length)))
        await dropLayer(engine, name);
  }
}

/** While it is filled: nothing punches holes into room that is to be kept. */
function forCopying(node: BlockNode, room: DiskMove['room']): BlockNode {
  if (room === 'sparse') return node.driver === 'raw' ? { ...node, 'detect-zeroes': 'unmap' } : node;
  const { discard: _unmaps, ...plain } = node;
  return plain as BlockNode;
}

async function settle(engine: Monitor, name: string, { path, format }: BlockLayer, directIo: boolean): Promise<void> {
  if (format !== 'raw') return;
  const access = { 'read-only': false, discard: 'unmap' };
  const cache = directIo ? { cache: { direct: true } } : {};
  const file = { driver: 'file', 'node-name': `${name}-file`, filename: path, ...access, ...cache };
  const image = { driver: 'raw', 'node-name': name, file: file['node-name'], ...access };
  await engine.execute('blockdev-reopen', { options: [file, image] });
}

async function objectOf(engine: Monitor, top: string): Promise<string> {
  const answer = await engine.execute('query-block');
  const device: unknown = (Array.isArray(answer) ? answer : []).find((one: unknown) => nodeOf(one) === top);
  return String(isObject(device) ? device.qdev : '');
}

function nodeOf(device: unknown): string {
  if (!isObject(device) || !isObject(device.inserted)) return '';
  return String(device.inserted['node-name']);
}
