import { rm, rmdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { joinPath, parentOf, resolveInRoot, splitPath } from '@hypostyle/services';
import type { Datastore } from '../../datastore/datastore.ts';
import { HostError } from '../../errors.ts';
import { privatePath, readBounded, writePrivate } from '../../vapp/vapp-file.ts';
import type { DiskFacts, MachineRecord } from '../record/machine-record.ts';
import { emptySnapshots } from '../snapshot/machine-snapshots.ts';
import { readDisk } from './machine-files.ts';

/** A disk that lies on one of another folder. Paths are of the datastore. */
export interface DiskChild {
  readonly parent: string;
  readonly child: string;
}

type HeldDisks = Pick<MachineRecord, 'disks' | 'snapshots'>;

const fileName = 'children.json';
const maximumBytes = 4 << 20;

/**
 * Which disks of other folders lie on those of a folder: `.hypo/children.json`, written before the child is made, so
 * that it never says too little, whether or not the child's machine is registered anywhere. What it says too much is
 * found out by looking at the child.
 */
export class DiskChildren {
  readonly #turns = new Map<string, Promise<unknown>>();

  /** Durable when it resolves. */
  async add(datastore: Datastore, children: readonly DiskChild[]): Promise<void> {
    const byFolder = Map.groupBy(children, ({ parent }) => splitPath(parent).folder);
    for (const [folder, added] of byFolder) {
      await this.#inTurn(datastore, folder, async () => {
        const { children, ...rest } = await readList(datastore, folder);
        const known = await liveChildren(datastore, children, true);
        const names = new Set(known.map(keyOf));
        const fresh = added.filter((child) => !names.has(keyOf(child)));
        await writeList(datastore, folder, { ...rest, children: [...known, ...fresh] });
      });
    }
  }

  /**
   * What lies on disks of some folders from elsewhere, as chains: each child, and all below it. Throws `disk-invalid`
   * for a list that cannot be read.
   */
  async held(datastore: Datastore, folders: Iterable<string>): Promise<HeldDisks[]> {
    const held: HeldDisks[] = [];
    for (const folder of new Set(folders)) {
      const { children } = await readList(datastore, folder);
      for (const { parent, child } of await liveChildren(datastore, children, false)) {
        const below = await readDisk(datastore, '', parent);
        const facts: DiskFacts = {
          ...below,
          chain: [[child], ...(below.chain.length === 0 ? [[parent]] : below.chain)],
          kinds: ['delta', ...(below.kinds.length === 0 ? (['foreign'] as const) : below.kinds)],
        };
        held.push({ disks: new Map([[0, facts]]), snapshots: emptySnapshots });
      }
    }
    return held;
  }

  /**
   * The machine of a folder is gone, and children stand on disks that were left: `names` are files of theirs, which
   * are to go with the last child.
   */
  async abandon(datastore: Datastore, folder: string, names: readonly string[]): Promise<void> {
    await this.#inTurn(datastore, folder, async () => {
      const { children } = await readList(datastore, folder);
      await writeList(datastore, folder, { children, abandoned: names });
    });
  }

  /** Deletes what was left in a folder for children, once there are none. */
  async release(datastore: Datastore, folder: string): Promise<void> {
    await this.#inTurn(datastore, folder, async () => {
      const { children, abandoned } = await readList(datastore, folder);
      if (abandoned === undefined || (await liveChildren(datastore, children, true)).length > 0) return;
      const directory = await resolveInRoot(datastore, folder);
      for (const name of abandoned) await rm(join(directory, name), { force: true });
      // The list goes last: as long as it is there, there is something to be done.
      await rm(join(directory, '.hypo'), { recursive: true, force: true });
      await rmdir(directory).catch(() => {});
    });
  }

  async #inTurn(datastore: Datastore, folder: string, work: () => Promise<void>): Promise<void> {
    const key = `${datastore.uuid}/${folder}`;
    const turn = (this.#turns.get(key) ?? Promise.resolve()).catch(() => {}).then(work);
    this.#turns.set(key, turn);
    try {
      await turn;
    } finally {
      if (this.#turns.get(key) === turn) this.#turns.delete(key);
    }
  }
}

function keyOf({ parent, child }: DiskChild): string {
  return `${parent}\n${child}`;
}

/** Those that are there; with `coming`, also those whose folder is there, since they may be about to be made. */
async function liveChildren(
  datastore: Datastore,
  children: readonly DiskChild[],
  coming: boolean,
): Promise<DiskChild[]> {
  const live: DiskChild[] = [];
  for (const each of children) {
    const child = datastore.absolute(each.child);
    const there = await stat(child).then(
      () => true,
      () => false,
    );
    if (there ? (await parentOf(child)) === datastore.absolute(each.parent) : coming && (await folderIsThere(child)))
      live.push(each);
  }
  return live;
}

async function folderIsThere(path: string): Promise<boolean> {
  return stat(dirname(path)).then(
    (facts) => facts.isDirectory(),
    () => false,
  );
}

interface ChildList {
  readonly children: readonly DiskChild[];
  /** Files that were left for them in the folder of a machine that is gone. */
  readonly abandoned?: readonly string[] | undefined;
}

async function readList(datastore: Datastore, folder: string): Promise<ChildList> {
  const path = privatePath(datastore, joinPath(folder, '_'), fileName);
  let text: string;
  try {
    text = (await readBounded(path, maximumBytes)).toString('utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { children: [] };
    throw invalid(datastore, folder, error);
  }
  try {
    const { children, abandoned } = JSON.parse(text) as { children: unknown[]; abandoned?: unknown[] };
    return {
      children: children.map((each) => {
        const { parent, child } = each as { readonly parent: unknown; readonly child: unknown };
        if (typeof child !== 'string') throw new Error('an entry without a child');
        datastore.absolute(child);
        return { parent: joinPath(folder, nameIn(parent)), child };
      }),
      ...(abandoned === undefined ? {} : { abandoned: abandoned.map(nameIn) }),
    };
  } catch (error) {
    throw invalid(datastore, folder, error);
  }
}

/** The name of a file in a folder, and nothing that leads elsewhere. */
function nameIn(value: unknown): string {
  if (typeof value !== 'string' || value === '' || value.startsWith('.') || /[/\\\0]/.test(value))
    throw new Error(`${String(value).slice(0, 200)} is no name of a file`);
  return value;
}

async function writeList(datastore: Datastore, folder: string, { children, abandoned }: ChildList): Promise<void> {
  const entries = children.map(({ parent, child }) => ({ parent: splitPath(parent).name, child }));
  const list = { version: 1, children: entries, ...(abandoned === undefined ? {} : { abandoned }) };
  const path = privatePath(datastore, joinPath(folder, '_'), fileName);
  await writePrivate(path, `${JSON.stringify(list, undefined, 1)}\n`);
}

function invalid(datastore: Datastore, folder: string, cause: unknown): HostError {
  const file = datastore.format(joinPath(folder, `.hypo/${fileName}`));
  return new HostError('disk-invalid', `${file} does not say which disks lie on those of the folder`, { cause });
}
