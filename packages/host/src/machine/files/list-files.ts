import { readdir, stat } from 'node:fs/promises';
import { isChangeImage, isHiddenName, joinPath, splitPath } from '@hypostyle/services';
import type { Datastore } from '../../datastore/datastore.ts';
import type { DiskFacts, MachineFile, MachineFiles, MachineRecord } from '../record/machine-record.ts';
import { parentsIn } from './child-list.ts';
import { fileType } from './machine-files.ts';

/** Disks as listing their files needs them. */
type ListedDisks = Pick<MachineRecord, 'disks'> & Partial<Pick<MachineRecord, 'snapshots'>>;

/**
 * Lists the files of a machine with the room that they take, and what thin disks may still take: those in its folder,
 * and those of other folders that its disks stand on. What others stand on too is not its own alone. `made`: names of
 * all that is in its folder, which is new, so that nobody stands on any of it yet.
 */
export async function listFiles(
  datastore: Datastore,
  vmxPath: string,
  { disks, snapshots }: ListedDisks,
  made?: readonly string[],
): Promise<MachineFiles> {
  const { folder } = splitPath(vmxPath);
  const list: MachineFile[] = [];
  const sizes = new Map<string, number>();
  const chains = [
    ...disks.values(),
    ...[...(snapshots?.views.values() ?? [])].flatMap((view) => [...view.disks.values()]),
  ];
  const [shared, names] = await Promise.all([
    sharedFiles(folder, chains, made === undefined ? parentsIn(datastore, folder) : new Set()),
    made ?? namesIn(datastore.absolute(folder)),
  ]);
  const named: { readonly path: string; readonly type: string }[] = [];
  for (const name of names) {
    const type = fileType(name);
    // A machine at the root of its datastore does not own what lies beside it.
    if (type === undefined || (folder === '' && !name.startsWith(stem(vmxPath)))) continue;
    named.push({ path: joinPath(folder, name), type });
  }
  const elsewhere = new Set(
    chains.flatMap(({ chain }) => chain.flat()).filter((path) => splitPath(path).folder !== folder),
  );
  for (const path of elsewhere) named.push({ path, type: fileType(path) ?? 'diskExtent' });
  const found = await Promise.all(named.map(({ path }) => stat(datastore.absolute(path)).catch(() => undefined)));
  for (const [index, { path, type }] of named.entries()) {
    // What went away since the folder was read is no file of the machine.
    const blocks = found[index]?.blocks;
    if (blocks === undefined) continue;
    const bytes = blocks * 512;
    sizes.set(path, bytes);
    list.push({ path, type, bytes, ...(shared.has(path) ? { shared: true } : {}) });
  }
  let uncommittedBytes = 0;
  const abroad = new Map<string, { committedBytes: number; uncommittedBytes: number; unsharedBytes: number }>();
  const usageAt = (path: string) => {
    const { datastore: at } = datastore.locate(path);
    if (at === datastore) return undefined;
    const usage = abroad.get(at.uuid) ?? { committedBytes: 0, uncommittedBytes: 0, unsharedBytes: 0 };
    abroad.set(at.uuid, usage);
    return usage;
  };
  for (const { path, bytes, shared } of list) {
    const usage = usageAt(path);
    if (usage === undefined) continue;
    usage.committedBytes += bytes;
    if (shared !== true) usage.unsharedBytes += bytes;
  }
  for (const disk of disks.values()) {
    const own = disk.chain.flatMap(bytesOf).reduce((total, path) => total + (sizes.get(path) ?? 0), 0);
    if (!disk.thin) continue;
    const more = Math.max(0, disk.capacityBytes - own);
    uncommittedBytes += more;
    const usage = usageAt(disk.chain[0]?.[0] ?? '');
    if (usage !== undefined) usage.uncommittedBytes += more;
  }
  const sum = (files: readonly MachineFile[]) => files.reduce((total, { bytes }) => total + bytes, 0);
  return {
    list,
    committedBytes: sum(list),
    uncommittedBytes,
    unsharedBytes: sum(list.filter((file) => file.shared !== true)),
    at: new Date().toISOString(),
    ...(abroad.size === 0 ? {} : { abroad }),
  };
}

async function namesIn(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { withFileTypes: true });
  return entries.filter((entry) => entry.isFile() && !isHiddenName(entry.name)).map(({ name }) => name);
}

/** The files of a link that have bytes of the disk: not the descriptor, where it is one of its own. */
function bytesOf(link: readonly string[]): readonly string[] {
  const files = link.filter((path) => !isChangeImage(path));
  return files.length > 1 ? files.slice(1) : files;
}

/** Files that other machines stand on too: those of other folders, and those that other folders name as parents. */
async function sharedFiles(
  folder: string,
  chains: readonly Pick<DiskFacts, 'chain'>[],
  reading: Promise<ReadonlySet<string>> | ReadonlySet<string>,
): Promise<Set<string>> {
  const parents = await reading;
  const shared = new Set<string>();
  for (const { chain } of chains) {
    const first = chain.findIndex(
      ([descriptor = '']) =>
        parents.has(descriptor) || (!descriptor.startsWith('/') && splitPath(descriptor).folder !== folder),
    );
    for (const file of first < 0 ? [] : chain.slice(first).flat()) shared.add(file);
  }
  return shared;
}

function stem(path: string): string {
  return splitPath(path).name.replace(/\.[^.]*$/, '');
}
