import type { Engine } from '../machine/engine.ts';
import { isObject } from '../qmp/qmp-message.ts';

/** Smallest stretch that is told as changed, in bytes. */
const granularity = 65_536;

interface Action {
  readonly type: string;
  readonly data: object;
}

/** Action of a transaction: from that moment a node keeps what is written to it. It is durable when the engine ends cleanly. */
export function beginGeneration(node: string, name: string): Action {
  return { type: 'block-dirty-bitmap-add', data: { node, name, persistent: true, granularity } };
}

/**
 * Before a layer is merged into `base`: its own generations end, and those of the layer begin there, so that the merge
 * and what is written after it are in them. Made again, it changes nothing. `backing` is the node that `base` lies on.
 */
export async function passGenerations(
  engine: Pick<Engine, 'execute'>,
  base: string,
  generations: readonly string[],
  backing: string | null,
): Promise<void> {
  const nodes = await engine.execute('query-named-block-nodes', { flat: true });
  const all = (Array.isArray(nodes) ? nodes : []).filter(isObject);
  const find = (name: string) => all.find((node) => node['node-name'] === name);
  // Bitmaps can be changed in an image that is open for writing alone.
  const overBytes = find(`${base}-bytes`) !== undefined;
  if (find(base)?.ro === true) await reopenForWriting(engine, base, { overBytes, backing });
  const bitmaps = find(base)?.['dirty-bitmaps'];
  const known = (Array.isArray(bitmaps) ? bitmaps : []).filter(isObject);
  const names = new Set(known.map(({ name }) => String(name)));
  const ended = known.filter(({ name, recording }) => recording === true && !generations.includes(String(name)));
  const actions = [
    ...ended.map(({ name }) => ({ type: 'block-dirty-bitmap-disable', data: { node: base, name } })),
    ...generations.filter((name) => !names.has(name)).map((name) => beginGeneration(base, name)),
  ];
  if (actions.length > 0) await engine.execute('transaction', { actions });
}

async function reopenForWriting(
  engine: Pick<Engine, 'execute'>,
  name: string,
  { overBytes, backing }: { readonly overBytes: boolean; readonly backing: string | null },
): Promise<void> {
  const access = { 'read-only': false, discard: 'unmap' };
  if (!overBytes) {
    const delta = { driver: 'qcow2', 'node-name': name, file: `${name}-file`, backing, ...access };
    await engine.execute('blockdev-reopen', { options: [delta] });
    return;
  }
  const bytes = { driver: 'raw', 'node-name': `${name}-bytes`, file: `${name}-file`, ...access };
  const image = { driver: 'qcow2', 'node-name': name, file: `${name}-changes`, 'data-file': bytes['node-name'] };
  await engine.execute('blockdev-reopen', { options: [bytes, { ...image, backing: null, ...access }] });
}
