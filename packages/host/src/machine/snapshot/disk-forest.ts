import { splitPath } from '@hypostyle/services';
import { heldDisks } from '../record/held-files.ts';
import type { DiskFacts, MachineRecord } from '../record/machine-record.ts';

/** One disk of a chain, and what lies on it. Paths are of the datastore. */
export interface ForestNode {
  readonly path: string;
  /** Descriptor and extents. */
  readonly files: readonly string[];
  readonly kind: DiskFacts['kinds'][number];
  readonly parent: string | undefined;
  readonly children: Set<string>;
}

export type DiskForest = ReadonlyMap<string, ForestNode>;

/** A delta, and the disk right below it that it is to be merged into. */
export interface MergePair {
  readonly child: string;
  readonly into: string;
}

type Held = Pick<MachineRecord, 'disks' | 'snapshots'>;

/** Every disk of some chains by its path. */
export function diskForest(disks: Iterable<DiskFacts>): DiskForest {
  const nodes = new Map<string, ForestNode>();
  for (const { chain, kinds } of disks) {
    for (const [at, files] of chain.entries()) {
      const [path] = files;
      const kind = kinds[at];
      if (path === undefined || kind === undefined) continue;
      const parent = chain[at + 1]?.[0];
      if (!nodes.has(path)) nodes.set(path, { path, files, kind, parent, children: new Set() });
    }
  }
  for (const { path, parent } of nodes.values()) if (parent !== undefined) nodes.get(parent)?.children.add(path);
  return nodes;
}

/** Disks that a machine, or a snapshot of it, is: none of them is merged into, since their bytes are to stay. */
export function namedDisks(machine: Held): Set<string> {
  return new Set(heldDisks(machine).flatMap(({ chain }) => chain[0]?.[0] ?? []));
}

/**
 * The next delta of a machine that nothing needs to be apart any more: the disk below it is no snapshot's, has no other
 * child, and is the machine's own to write: it lies in its folder, or is one of `owned`, which it wrote once. `others`
 * are machines of the same datastore.
 */
export function nextMerge(
  machine: Held & Pick<MachineRecord, 'vmxPath'>,
  others: Iterable<Held> = [],
  owned: ReadonlySet<string> = new Set(),
): MergePair | undefined {
  const own = diskForest(heldDisks(machine));
  const named = namedDisks(machine);
  const children = new Map([...own].map(([path, node]) => [path, new Set(node.children)]));
  /** Below disks of others: their engines have these open, and nothing is written there. */
  const below = new Set<string>();
  for (const other of others) {
    for (const path of namedDisks(other)) named.add(path);
    for (const { path, parent } of diskForest(heldDisks(other)).values()) {
      if (parent === undefined) continue;
      children.get(parent)?.add(path);
      below.add(parent);
    }
  }
  const { folder } = splitPath(machine.vmxPath);
  const isTarget = (node: ForestNode | undefined): node is ForestNode => {
    if (node === undefined || children.get(node.path)?.size !== 1 || named.has(node.path) || !isOurs(node))
      return false;
    if (below.has(node.path)) return false;
    // A disk of somebody else's folder may be the base of what is not registered here.
    const [child] = children.get(node.path) ?? [];
    // Beside a disk of another datastore its machine's own deltas lie.
    const isBeside = node.path.startsWith('/') && splitPath(child ?? '').folder === splitPath(node.path).folder;
    return splitPath(node.path).folder === folder || isBeside || owned.has(node.path);
  };
  for (const node of own.values()) {
    const [child] = children.get(node.path) ?? [];
    if (child === undefined || !isTarget(node) || own.get(child)?.kind !== 'delta') continue;
    // From the base up: no byte is moved twice.
    if (node.parent !== undefined && isTarget(own.get(node.parent))) continue;
    return { child, into: node.path };
  }
  return undefined;
}

/** What is somebody else's, or still being made from a compressed file, is not merged into. */
function isOurs({ kind }: ForestNode): boolean {
  return kind === 'flat' || kind === 'delta';
}

/** Files of our own deltas that a machine held before and does not hold now: nothing reads them any more. */
export function releasedFiles(before: Held, after: Held): string[] {
  const staying = new Set(heldDisks(after).flatMap(({ chain }) => chain.flat()));
  const released = new Set<string>();
  for (const { kind, files } of diskForest(heldDisks(before)).values()) {
    if (kind !== 'delta') continue;
    for (const file of files) if (!staying.has(file)) released.add(file);
  }
  return [...released];
}
