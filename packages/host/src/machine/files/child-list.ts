import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { joinPath, parentOf, splitPath } from '@hypostyle/services';
import type { Datastore } from '../../datastore/datastore.ts';
import { HostError } from '../../errors.ts';
import { privatePath, readBounded, writePrivate } from '../../vapp/vapp-file.ts';

/** A disk that lies on one of another folder. Paths are of the datastore. */
export interface DiskChild {
  readonly parent: string;
  readonly child: string;
}

const fileName = 'children.json';
const maximumBytes = 4 << 20;
/** Children that are looked at at a time. */
const looksAtOnce = 16;

/** Disks of a folder that those of other folders stand on now. A list that cannot be read names none. */
export async function parentsIn(datastore: Datastore, folder: string): Promise<Set<string>> {
  const { children } = await readList(datastore, folder).catch(() => ({ children: [] }));
  const parents = new Set<string>();
  for (const child of children)
    if (!parents.has(child.parent) && (await liveChildren(datastore, [child], false)).length > 0)
      parents.add(child.parent);
  return parents;
}

/** Those that are there; with `coming`, also those whose folder is there, since they may be about to be made. */
export async function liveChildren(
  datastore: Datastore,
  children: readonly DiskChild[],
  coming: boolean,
): Promise<DiskChild[]> {
  const isLive = async (each: DiskChild): Promise<boolean> => {
    const child = datastore.absolute(each.child);
    const there = await stat(child).then(
      () => true,
      () => false,
    );
    return there ? (await parentOf(child)) === datastore.absolute(each.parent) : coming && (await folderIsThere(child));
  };
  const live: DiskChild[] = [];
  for (let at = 0; at < children.length; at += looksAtOnce) {
    const some = children.slice(at, at + looksAtOnce);
    const lives = await Promise.all(some.map(isLive));
    live.push(...some.filter((_, index) => lives[index]));
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

export async function readList(datastore: Datastore, folder: string): Promise<ChildList> {
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

export async function writeList(
  datastore: Datastore,
  folder: string,
  { children, abandoned }: ChildList,
): Promise<void> {
  const entries = children.map(({ parent, child }) => ({ parent: splitPath(parent).name, child }));
  const list = { version: 1, children: entries, ...(abandoned === undefined ? {} : { abandoned }) };
  const path = privatePath(datastore, joinPath(folder, '_'), fileName);
  await writePrivate(path, `${JSON.stringify(list, undefined, 1)}\n`);
}

function invalid(datastore: Datastore, folder: string, cause: unknown): HostError {
  const file = datastore.format(joinPath(folder, `.hypo/${fileName}`));
  return new HostError('disk-invalid', `${file} does not say which disks lie on those of the folder`, { cause });
}
