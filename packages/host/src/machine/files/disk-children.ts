import { rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { resolveInRoot, splitPath } from '@hypostyle/services';
import type { Datastore } from '../../datastore/datastore.ts';
import type { DiskFacts, MachineRecord } from '../record/machine-record.ts';
import { emptySnapshots } from '../snapshot/machine-snapshots.ts';
import { type DiskChild, liveChildren, readList, writeList } from './child-list.ts';
import { readDisk } from './machine-files.ts';

/** A list with less than twice as many says what is gone for a while. */
const fewChildren = 16;

type HeldDisks = Pick<MachineRecord, 'disks' | 'snapshots'>;

/**
 * Which disks of other folders lie on those of a folder: `.hypo/children.json`, written before the child is made, so
 * that it never says too little, whether or not the child's machine is registered anywhere. What it says too much is
 * found out by looking at the child.
 */
export class DiskChildren {
  readonly #turns = new Map<string, Promise<unknown>>();
  /** By folder, what is to be written as soon as it is its turn. */
  readonly #adding = new Map<string, { readonly children: DiskChild[]; readonly done: Promise<void> }>();
  /** By folder, how many children were live when all of a list were last looked at. */
  readonly #looked = new Map<string, number>();

  /** Durable when it resolves. What comes for a folder while its list is being written is written together. */
  async add(datastore: Datastore, children: readonly DiskChild[]): Promise<void> {
    const byFolder = Map.groupBy(children, ({ parent }) => splitPath(parent).folder);
    for (const [folder, added] of byFolder) {
      const key = `${datastore.uuid}/${folder}`;
      const waiting = this.#adding.get(key);
      if (waiting !== undefined) {
        waiting.children.push(...added);
        await waiting.done;
        continue;
      }
      const together = [...added];
      const done = this.#inTurn(datastore, folder, async () => {
        this.#adding.delete(key);
        const { children, ...rest } = await readList(datastore, folder);
        const known = await this.#known(key, datastore, children);
        const all = new Map([...known, ...together].map((child) => [keyOf(child), child]));
        await writeList(datastore, folder, { ...rest, children: [...all.values()] });
      });
      this.#adding.set(key, { children: together, done });
      await done;
    }
  }

  /** Those of a list that are there, where it has grown to twice what was there when they were looked at last. */
  async #known(key: string, datastore: Datastore, children: readonly DiskChild[]): Promise<readonly DiskChild[]> {
    const looked = this.#looked.get(key);
    if (looked !== undefined && children.length < 2 * Math.max(looked, fewChildren)) return children;
    const live = await liveChildren(datastore, children, true);
    this.#looked.set(key, live.length);
    return live;
  }

  /**
   * What lies on disks of some folders from elsewhere, as chains: each child, and all below it. Throws `disk-invalid`
   * for a list that cannot be read.
   */
  async held(datastore: Datastore, folders: Iterable<string>): Promise<HeldDisks[]> {
    const held: HeldDisks[] = [];
    for (const folder of new Set(folders)) {
      // The list of a folder names what is on its own datastore.
      const at = datastore.locate(folder);
      const { children } = await readList(at.datastore, at.path);
      for (const { parent, child } of await liveChildren(at.datastore, children, false)) {
        const below = await readDisk(at.datastore, '', parent);
        const chain = [[child], ...(below.chain.length === 0 ? [[parent]] : below.chain)];
        const facts: DiskFacts = {
          ...below,
          chain: chain.map((link) => link.map((file) => datastore.pathFrom(at.datastore, file))),
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
  async release(home: Datastore, place: string): Promise<void> {
    const { datastore, path: folder } = home.locate(place);
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
