import { randomBytes } from 'node:crypto';
import { mkdir, open, readFile, realpath, rename, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import type { Store } from '@hypostyle/contracts';
import { datastoreMarker, parseDatastorePath } from '@hypostyle/services';
import { fault, type ManagedObjectReference, Turns, type VimFault } from '@hypostyle/vim';
import { HostError } from '../errors.ts';
import { Datastore } from './datastore.ts';

const collection = 'datastore';
const mostFormerNames = 4;

interface DatastoreDocument {
  readonly uuid: string;
  readonly name: string;
  readonly directory: string;
  /** Names that it had, youngest last: what was asked for by them is still done. */
  readonly formerNames?: readonly string[];
}

export interface DatastoreSpace {
  readonly capacityBytes: number;
  readonly freeBytes: number;
}

/** The host's datastores: folders with an identity of their own, remembered in the store. */
export class Datastores {
  readonly #store: Store;
  readonly #byUuid = new Map<string, Datastore>();
  readonly #formerNames = new Map<string, readonly string[]>();
  /** Those that are just being removed: nothing begins on them any more. */
  readonly #leaving = new Set<Datastore>();
  /** Names are given one after another. */
  readonly #turns = new Turns();

  constructor(store: Store) {
    this.#store = store;
  }

  /** Reads what the store remembers. A folder that is away keeps its place, inaccessible. */
  async load(): Promise<void> {
    for (const { value } of await this.#store.list<DatastoreDocument>(collection)) {
      this.#byUuid.set(value.uuid, new Datastore({ ...value, others: () => this.#byUuid.values() }));
      this.#formerNames.set(value.uuid, value.formerNames ?? []);
    }
  }

  all(): Datastore[] {
    return [...this.#byUuid.values()];
  }

  find(name: string): Datastore | undefined {
    return this.all().find((datastore) => datastore.name === name && !this.#leaving.has(datastore));
  }

  byUuid(uuid: string): Datastore | undefined {
    return this.#byUuid.get(uuid);
  }

  get(ref: ManagedObjectReference): Datastore {
    const datastore = this.#byUuid.get(ref.value);
    if (datastore === undefined) throw gone(ref);
    return datastore;
  }

  /** Datastore and path of `[name] path`; InvalidDatastore when there is none of that name. */
  parse(text: string): { readonly datastore: Datastore; readonly path: string } {
    const { datastore: name, path } = parseDatastorePath(text);
    const datastore = this.find(name) ?? this.#staying(name);
    if (datastore === undefined) throw noDatastore(name);
    return { datastore, path };
  }

  /** Throws InvalidDatastore where a datastore has been removed meanwhile, or is just about to be. */
  checkStays(datastore: Datastore): void {
    if (this.#staying(datastore.uuid) !== datastore) throw noDatastore(datastore.name);
  }

  /** The datastore of a name that it has, or had when a task that goes on now was asked for. */
  named(name: string): Datastore | undefined {
    const found = this.find(name) ?? this.#staying(name);
    if (found !== undefined) return found;
    const staying = this.all().filter((datastore) => !this.#leaving.has(datastore));
    return staying.findLast(({ uuid }) => this.#formerNames.get(uuid)?.includes(name));
  }

  /** As `parse`, by a name that was right when the task was asked for. */
  parseOfTask(text: string): { readonly datastore: Datastore; readonly path: string } {
    const { datastore: name, path } = parseDatastorePath(text);
    const datastore = this.named(name);
    return datastore === undefined ? this.parse(text) : { datastore, path };
  }

  /** Adds a folder: makes it and gives it an identity where it has none; `show` tells of it. DuplicateName. */
  add(name: string, directory: string, show: ShowDatastore = () => {}): Promise<Datastore> {
    return this.#turns.take(() => this.#add(name, directory, show));
  }

  /** Gives a datastore another name: durable first, then `show` makes it true. DuplicateName, ManagedObjectNotFound. */
  rename(datastore: Datastore, name: string, show: () => void): Promise<void> {
    return this.#turns.take(async () => {
      if (this.#byUuid.get(datastore.uuid) !== datastore) throw gone(datastore.ref);
      if (datastore.name === name) return;
      this.#checkFree(name);
      const { uuid, directory } = datastore;
      const former = [...(this.#formerNames.get(uuid) ?? []), datastore.name].filter((other) => other !== name);
      const formerNames = former.slice(-mostFormerNames);
      const value: DatastoreDocument = { uuid, name, directory, formerNames };
      await this.#store.transact([{ put: { collection, key: uuid, value } }]);
      this.#formerNames.set(uuid, formerNames);
      show();
    });
  }

  /** Forgets a datastore, whose folder stays: durable first, then `show` tells of it. ManagedObjectNotFound. */
  async remove(datastore: Datastore, show: () => void): Promise<void> {
    if (this.#staying(datastore.uuid) !== datastore) throw gone(datastore.ref);
    this.#leaving.add(datastore);
    await this.#turns
      .take(async () => {
        await this.#store.transact([{ delete: { collection, key: datastore.uuid } }]);
        this.#byUuid.delete(datastore.uuid);
        this.#formerNames.delete(datastore.uuid);
        show();
      })
      .finally(() => this.#leaving.delete(datastore));
  }

  #staying(uuid: string): Datastore | undefined {
    const datastore = this.#byUuid.get(uuid);
    return datastore !== undefined && this.#leaving.has(datastore) ? undefined : datastore;
  }

  #checkFree(name: string): void {
    const object = this.find(name)?.ref;
    if (object !== undefined) throw fault('DuplicateName', { name, object }, `The datastore '${name}' exists already.`);
  }

  async #add(name: string, directory: string, show: ShowDatastore): Promise<Datastore> {
    this.#checkFree(name);
    await mkdir(directory, { recursive: true });
    const real = await realpath(directory);
    const uuid = await writeIdentity(real);
    const known = this.#byUuid.get(uuid);
    if (known !== undefined)
      throw new HostError('datastore-invalid', `${directory} is the datastore '${known.name}' already`);
    const datastore = new Datastore({ uuid, name, directory: real, others: () => this.#byUuid.values() });
    const value: DatastoreDocument = { uuid, name, directory: real };
    await this.#store.transact([{ put: { collection, key: uuid, value } }]);
    // Nobody has anything on it before it is shown: that would be told with a datastore that is not there.
    const space = await spaceOf(datastore);
    this.#byUuid.set(uuid, datastore);
    show(datastore, space);
    return datastore;
  }
}

/** Tells of a datastore that was added, with the space that it has. */
type ShowDatastore = (datastore: Datastore, space: DatastoreSpace | undefined) => void;

function noDatastore(name: string): VimFault {
  return fault('InvalidDatastore', { name }, `There is no datastore '${name}' here.`);
}

function gone(obj: ManagedObjectReference): VimFault {
  return fault('ManagedObjectNotFound', { obj }, `There is no datastore ${obj.value} here.`);
}

/** Bytes of the file system below; undefined while the folder cannot be reached or is another than it was. */
export async function spaceOf(datastore: Datastore): Promise<DatastoreSpace | undefined> {
  try {
    const [stats, identity] = await Promise.all([
      statfs(datastore.directory),
      readFile(join(datastore.directory, datastoreMarker), 'utf8'),
    ]);
    if (identity.trim() !== datastore.uuid) return undefined;
    return { capacityBytes: stats.blocks * stats.bsize, freeBytes: stats.bavail * stats.bsize };
  } catch {
    return undefined;
  }
}

/** The identity that a folder keeps, made when it has none, in the form that VMFS has. */
export async function writeIdentity(directory: string): Promise<string> {
  const path = join(directory, datastoreMarker);
  try {
    const text = (await readFile(path, 'utf8')).trim();
    if (/^[0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{12}$/.test(text)) return text;
    throw new HostError('datastore-invalid', `${path} holds no identity; delete the file to make a new one`);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  if (!(await stat(directory)).isDirectory()) throw new HostError('datastore-invalid', `${directory} is no folder`);
  const hex = randomBytes(16).toString('hex');
  const uuid = `${hex.slice(0, 8)}-${hex.slice(8, 16)}-${hex.slice(16, 20)}-${hex.slice(20, 32)}`;
  const temporary = `${path}.partial`;
  const handle = await open(temporary, 'w', 0o644);
  try {
    await handle.writeFile(`${uuid}\n`);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(temporary, path);
  return uuid;
}
