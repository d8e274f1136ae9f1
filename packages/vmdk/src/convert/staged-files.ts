import { lstat, mkdir, open, readdir, readFile, readlink, realpath, rename, rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { readDescriptor, syncFolder } from '../descriptor/descriptor-file.ts';
import { resolveReference } from '../descriptor/extent-path.ts';
import { fileError, VmdkError } from '../errors.ts';

const ownerName = '.owner.json';
const placingName = '.placing.json';
/** A folder without an owner is somebody's who has just begun. */
const youngMilliseconds = 5000;

export interface StagedFilesOptions {
  /** Put the new files in the place of old ones. Default false. */
  readonly overwrite?: boolean;
}

/**
 * The files of a disk in the making, in a folder `NAME.partial` beside its place, under the names that they will have.
 * What an earlier process left there when it was killed is cleared away first.
 */
export class StagedFiles {
  /** Where the disk gets its place. */
  readonly target: string;
  readonly #folder: string;
  readonly #overwrite: boolean;

  private constructor(target: string, overwrite: boolean) {
    this.target = target;
    this.#folder = `${target}.partial`;
    this.#overwrite = overwrite;
  }

  /** `exists` when the name is taken and is not to be overwritten, or is being made by a process that lives. */
  static async open(target: string, options: StagedFilesOptions = {}): Promise<StagedFiles> {
    const staged = new StagedFiles(target, options.overwrite ?? false);
    // First, for it may have been killed when all but this was done.
    await clearLeftovers(target, staged.#folder);
    await staged.#expectRoom(target);
    let made = false;
    try {
      await mkdir(staged.#folder);
      made = true;
      await writeDurably(join(staged.#folder, ownerName), JSON.stringify(await ownIdentity()));
    } catch (error) {
      if (made) await rm(staged.#folder, { recursive: true, force: true });
      throw fileError(error, staged.#folder);
    }
    return staged;
  }

  /** Where the disk's own file is made. */
  get path(): string {
    return join(this.#folder, basename(this.target));
  }

  /** Refuses names that are taken, as `open` did for the disk's own. Ask once the files are made. */
  async expectRoom(): Promise<void> {
    for (const name of await this.#names()) await this.#expectRoom(join(dirname(this.target), name));
  }

  /**
   * Gives the files their names, the disk's own last. They must be durable. What the disk in its place had in files of
   * its own is removed afterwards.
   */
  async place(): Promise<readonly string[]> {
    const main = basename(this.target);
    const folder = dirname(this.target);
    try {
      const names = await this.#names();
      const replaced = this.#overwrite ? await extentsOf(this.target) : [];
      await this.expectRoom();
      await writeDurably(join(this.#folder, placingName), JSON.stringify(names));
      await syncFolder(this.#folder);
      // The old descriptor must not stand over new extents.
      if (names.length > 1) await rm(this.target, { force: true });
      for (const name of [...names.filter((name) => name !== main), main]) {
        await rename(join(this.#folder, name), join(folder, name));
      }
      await syncFolder(folder);
      const placed = names.map((name) => join(folder, name));
      for (const old of replaced) if (!placed.includes(old)) await rm(old, { force: true });
      await rm(this.#folder, { recursive: true, force: true });
      return placed;
    } catch (error) {
      throw fileError(error, this.target);
    }
  }

  /** Removes what was made. */
  async discard(): Promise<void> {
    await clearFolder(this.target, this.#folder);
  }

  async #names(): Promise<string[]> {
    return (await readdir(this.#folder)).filter((name) => name !== ownerName && name !== placingName);
  }

  async #expectRoom(path: string): Promise<void> {
    const there = await lstat(path).catch((error: unknown) => {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw fileError(error, path);
    });
    if (!there) return;
    const refuse = (reason: string) => new VmdkError('exists', { file: path, reason });
    if (!this.#overwrite) throw refuse('there is a file of this name');
    if (!there.isFile()) throw refuse('it is not a regular file');
    if (await isOpenHere(path)) throw refuse('it belongs to a disk that is being read');
  }
}

/** Files of their own that a descriptor lists, within its folder. */
async function extentsOf(path: string): Promise<string[]> {
  try {
    const { extents } = await readDescriptor(path);
    return extents.flatMap(({ file }) =>
      file ? [resolveReference(dirname(path), file, { kind: 'extent', from: path })] : [],
    );
  } catch {
    return [];
  }
}

async function clearLeftovers(target: string, folder: string): Promise<void> {
  const refuse = (reason: string) => new VmdkError('exists', { file: folder, reason });
  for (;;) {
    const there = await lstat(folder).catch(() => undefined);
    if (!there) return;
    if (!there.isDirectory()) throw refuse('it is in the way');
    const names = await readdir(folder);
    if (names.includes(ownerName)) {
      const owner = parseOwner(await readFile(join(folder, ownerName), 'utf8'));
      if (owner && (await isAlive(owner))) throw refuse(`process ${owner.pid} on ${owner.host} makes this disk`);
      break;
    }
    if (names.length > 0) throw refuse('it is in the way, and no conversion left it');
    if (Date.now() - there.mtimeMs >= youngMilliseconds) break;
    // Somebody begins to make this disk, and says so in a moment; or was killed before it could.
    await sleep(100);
  }
  await clearFolder(target, folder);
}

/** Removes the folder, and the extents that had been placed when the disk's own file had not. */
async function clearFolder(target: string, folder: string): Promise<void> {
  const left = await readdir(folder).catch(() => [] as string[]);
  if (left.includes(placingName) && left.includes(basename(target))) {
    const stem = `${basename(target).replace(/\.vmdk$/i, '')}-`;
    for (const name of parseNames(await readFile(join(folder, placingName), 'utf8'))) {
      const extent = name.startsWith(stem) && name === basename(name);
      if (extent && !left.includes(name)) await rm(join(dirname(target), name), { force: true });
    }
  }
  await rm(folder, { recursive: true, force: true });
}

function parseNames(text: string): string[] {
  try {
    const names: unknown = JSON.parse(text);
    return Array.isArray(names) ? names.filter((name) => typeof name === 'string') : [];
  } catch {
    return [];
  }
}

interface Owner {
  readonly host: string;
  readonly pid: number;
  /** Start of the process, so that its number is not taken for another's. */
  readonly started: string;
}

async function ownIdentity(): Promise<Owner> {
  return { host: hostname(), pid: process.pid, started: (await startOf(process.pid)) ?? '' };
}

function parseOwner(text: string): Owner | undefined {
  try {
    const owner = JSON.parse(text) as Partial<Owner>;
    const { host, pid, started } = owner;
    return typeof host === 'string' && Number.isInteger(pid) && typeof started === 'string'
      ? { host, pid: pid as number, started }
      : undefined;
  } catch {
    return undefined;
  }
}

/** On another host nobody can tell, so it counts as alive. */
async function isAlive(owner: Owner): Promise<boolean> {
  if (owner.host !== hostname()) return true;
  return (await startOf(owner.pid)) === owner.started;
}

/** Field 22 of /proc/PID/stat (proc(5)) with the boot that it counts from; undefined when there is no such process. */
async function startOf(pid: number): Promise<string | undefined> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    // A zombie has let go of everything.
    if (fields[0] === 'Z') return undefined;
    return `${(await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim()} ${fields[19]}`;
  } catch (error) {
    // It may end between the opening and the reading. Whoever cannot be asked about may well be alive.
    if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
}

/** Whether this process has the file open; false where the system does not tell. */
async function isOpenHere(path: string): Promise<boolean> {
  const wanted = await realpath(path);
  const descriptors = await readdir('/proc/self/fd').catch(() => [] as string[]);
  for (const descriptor of descriptors) {
    if ((await readlink(`/proc/self/fd/${descriptor}`).catch(() => '')) === wanted) return true;
  }
  return false;
}

async function writeDurably(path: string, text: string): Promise<void> {
  const handle = await open(path, 'w');
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
}
