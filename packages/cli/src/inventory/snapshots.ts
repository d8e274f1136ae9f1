import type { ManagedObjectReference, VirtualMachineSnapshotInfo, VirtualMachineSnapshotTree } from '@hypostyle/vim';
import type { ServerSession } from '../connection/server-session.ts';
import { CliError } from '../errors.ts';

/** One snapshot, and where it is in its tree. */
export interface FoundSnapshot {
  readonly tree: VirtualMachineSnapshotTree;
  /** Names from the root on, with slashes between. */
  readonly path: string;
  readonly depth: number;
  readonly current: boolean;
}

/** A machine's snapshots; undefined when it has none. */
export async function readSnapshots(
  { client }: ServerSession,
  machine: ManagedObjectReference<'VirtualMachine'>,
): Promise<VirtualMachineSnapshotInfo | undefined> {
  const [found] = await client.retrieve(machine, ['snapshot']);
  return found?.values.snapshot as VirtualMachineSnapshotInfo | undefined;
}

/** All of them, parents before their children. */
export function listSnapshots(info: VirtualMachineSnapshotInfo | undefined): FoundSnapshot[] {
  const current = info?.currentSnapshot?.value;
  const list = (trees: readonly VirtualMachineSnapshotTree[], above: string, depth: number): FoundSnapshot[] =>
    trees.flatMap((tree) => {
      const path = above === '' ? tree.name : `${above}/${tree.name}`;
      const found = { tree, path, depth, current: tree.snapshot.value === current };
      return [found, ...list(tree.childSnapshotList ?? [], path, depth + 1)];
    });
  return list(info?.rootSnapshotList ?? [], '', 0);
}

/** The snapshot of that name, path, reference or id. Throws `not-found`, and `usage` for a name that two have. */
export function findSnapshot(info: VirtualMachineSnapshotInfo | undefined, name: string): FoundSnapshot {
  const all = listSnapshots(info);
  const ways: ((one: FoundSnapshot) => boolean)[] = [
    ({ tree }) => tree.snapshot.value === name,
    ({ path }) => path === name,
    ({ tree }) => tree.name === name,
    ({ tree }) => String(tree.id) === name,
  ];
  for (const way of ways) {
    const [only, ...more] = all.filter(way);
    if (only === undefined) continue;
    if (more.length === 0) return only;
    throw new CliError('usage', `${more.length + 1} snapshots are called '${name}'.`, {
      next: `Say which by its path or id: ${[only, ...more].map(({ path, tree }) => `${path} (${tree.id})`).join(', ')}.`,
    });
  }
  throw new CliError('not-found', `There is no snapshot '${name}'.`, {
    next: all.length === 0 ? 'The machine has none.' : `The machine has: ${all.map(({ path }) => path).join(', ')}.`,
  });
}
