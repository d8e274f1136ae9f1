import assert from 'node:assert/strict';
import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import type { Client, ManagedObjectReference } from '@hypostyle/vim';
import type { Daemon } from './daemon.ts';
import { eventually } from './guest-machine.ts';

/** What a service keeps in `.hypo` of a folder with a machine, or with disks that machines stand on. */
const privateFiles = /^(vm\.lck|changes\.json|children\.json|vapp\.json|customization\.(json|iso)|ovf-env\.(iso|xml))$/;
/** Largest text file that is looked into; a descriptor or a list of snapshots is far smaller. */
const largestText = 1 << 20;

/** Asserts that `strayFiles` are none, at once or as soon as what is being written or taken away has been. */
export async function nothingIsStray(daemon: Daemon, client: Client, placed: readonly string[] = []): Promise<void> {
  let stray: string[] = [];
  const none = async () => {
    stray = await strayFiles(daemon, client, placed).catch((error: unknown) => [`${error}`]);
    return stray.length === 0;
  };
  await eventually(none, 'every file is owned', 60_000).catch(() => assert.deepEqual(stray, []));
}

/**
 * Files, and empty folders, of all datastores of a home that no registered machine owns, relative to the folder of the
 * datastores. It is worked out from what the machines' own files say of each other (`.vmx`, `.vmsd`, descriptors with
 * their extents and parents), and not from what the service says. `placed` names what somebody else put there.
 */
async function strayFiles(daemon: Daemon, client: Client, placed: readonly string[] = []): Promise<string[]> {
  const root = join(daemon.home, 'datastores');
  const { files, emptyFolders } = await everything(root);
  const owned = new Set(placed.map((path) => join(root, path)));
  for (const path of await machinePaths(client)) await ownMachine(root, absoluteOf(root, path), { files, owned });
  const folders = new Set([...owned].map((path) => dirname(path)));
  const isOwned = (path: string) => {
    if (owned.has(path) || basename(path) === '.hypo-datastore') return true;
    return basename(dirname(path)) === '.hypo' && folders.has(dirname(dirname(path))) && isPrivate(path, owned);
  };
  const stray = [...files].filter((path) => !isOwned(path));
  // A datastore may be empty; a private folder is, while its machine is off.
  const left = emptyFolders.filter((path) => dirname(path) !== root && !folders.has(dirname(path)) && !owned.has(path));
  return [...stray, ...left.map((path) => `${path}/`)].map((path) => relative(root, path)).sort();
}

function isPrivate(path: string, owned: ReadonlySet<string>): boolean {
  const name = basename(path);
  const settling = /^settle-(.+)\.(json|progress)(\.new)?$/.exec(name)?.[1];
  if (settling !== undefined) return owned.has(join(dirname(dirname(path)), `${settling}.vmdk`));
  return privateFiles.test(name);
}

/** Datastore paths of every machine's `.vmx`. */
async function machinePaths(client: Client): Promise<string[]> {
  const { viewManager, rootFolder } = await client.content();
  if (viewManager === undefined) throw new Error('there is no view manager');
  const view = await client.call(viewManager, 'CreateContainerView', {
    container: rootFolder,
    type: ['VirtualMachine'],
    recursive: true,
  });
  try {
    const [found] = await client.retrieve(view, ['view']);
    const machines = (found?.values.view ?? []) as ManagedObjectReference<'VirtualMachine'>[];
    if (machines.length === 0) return [];
    const read = await client.retrieve(machines, ['config.files.vmPathName']);
    return read.map(({ ref, values }) => {
      const path = values['config.files.vmPathName'];
      if (typeof path !== 'string') throw new Error(`${ref.value} has no path`);
      return path;
    });
  } finally {
    await client.call(view, 'DestroyView', {});
  }
}

interface Found {
  readonly files: ReadonlySet<string>;
  readonly owned: Set<string>;
}

/** The machine's file, what it and its list of snapshots name, and what has its name and belongs to it by its kind. */
async function ownMachine(root: string, vmx: string, found: Found): Promise<void> {
  if (!found.files.has(vmx)) throw new Error(`a machine's ${relative(root, vmx)} is not there`);
  const folder = dirname(vmx);
  const stem = vmx.replace(/\.vmx$/, '');
  const list = `${stem}.vmsd`;
  for (const text of [vmx, ...(found.files.has(list) ? [list] : [])]) {
    found.owned.add(text);
    for (const named of await namedIn(text)) await own(root, folder, named, found);
  }
  const name = basename(stem).replaceAll(/[^\w.-]/g, '.');
  const byKind = new RegExp(`^(${name}\\.(vmxf|nvram)|${name}-\\d+\\.png|.*\\.log(\\.\\d+)?)$`);
  for (const path of found.files) if (dirname(path) === folder && byKind.test(basename(path))) found.owned.add(path);
}

/** A file that is named, and where it is a disk, what it is made of. */
async function own(root: string, folder: string, named: string, found: Found): Promise<void> {
  const path = named.startsWith('[') ? absoluteOf(root, named) : join(folder, named);
  const target = named.startsWith('/') ? named : path;
  if (!found.files.has(target) || found.owned.has(target)) return;
  found.owned.add(target);
  if (!target.endsWith('.vmdk') || (await stat(target)).size > largestText) return;
  // The image in which the engine keeps what changed lies beside the flat extent.
  found.owned.add(target.replace(/\.vmdk$/, '-ctk.qcow2'));
  for (const part of await namedIn(target)) await own(root, dirname(target), part, found);
}

/** Everything between quotes. */
async function namedIn(path: string): Promise<string[]> {
  const text = await readFile(path, 'utf8');
  return [...text.matchAll(/"([^"\n]+)"/g)].flatMap(([, name]) => name ?? []);
}

/** Of `[datastore] folder/file`. Datastores are called as their folders are. */
function absoluteOf(root: string, path: string): string {
  const [, datastore, file] = /^\[([^\]]*)\] *(.*)$/.exec(path) ?? [];
  if (datastore === undefined || file === undefined) throw new Error(`${path} is no datastore path`);
  return join(root, datastore, file);
}

async function everything(root: string): Promise<{ files: Set<string>; emptyFolders: string[] }> {
  const files = new Set<string>();
  const emptyFolders: string[] = [];
  const walk = async (folder: string): Promise<void> => {
    const entries = await readdir(folder, { withFileTypes: true });
    if (entries.length === 0) emptyFolders.push(folder);
    for (const entry of entries) {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) await walk(path);
      else files.add(path);
    }
  };
  await walk(root);
  return { files, emptyFolders };
}
