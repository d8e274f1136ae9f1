import { randomBytes } from 'node:crypto';
import { mkdir, open, readFile, realpath, rename, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import type { Store } from '@hypostyle/contracts';
import { parseDatastorePath } from '@hypostyle/services';
import { fault, type ManagedObjectReference } from '@hypostyle/vim';
import { HostError } from '../errors.ts';
import { Datastore } from './datastore.ts';

const identityFile = '.hypo-datastore';
const collection = 'datastore';

interface DatastoreDocument {
  readonly uuid: string;
  readonly name: string;
  readonly directory: string;
}

export interface DatastoreSpace {
  readonly capacityBytes: number;
  readonly freeBytes: number;
}

/** The host's datastores: folders with an identity of their own, remembered in the store. */
export class Datastores {
  readonly #store: Store;
  readonly #byUuid = new Map<string, Datastore>();

  constructor(store: Store) {
    this.#store = store;
  }

  /** Reads what the store remembers. A folder that is away keeps its place, inaccessible. */
  async load(): Promise<void> {
    for (const { value } of await this.#store.list<DatastoreDocument>(collection)) {
      this.#byUuid.set(value.uuid, new Datastore(value));
    }
  }

  all(): Datastore[] {
    return [...this.#byUuid.values()];
  }

  find(name: string): Datastore | undefined {
    return this.all().find((datastore) => datastore.name === name);
  }

  byUuid(uuid: string): Datastore | undefined {
    return this.#byUuid.get(uuid);
  }

  get(ref: ManagedObjectReference): Datastore {
    const datastore = this.#byUuid.get(ref.value);
    if (datastore === undefined) {
      throw fault('ManagedObjectNotFound', { obj: ref }, `There is no datastore ${ref.value} here.`);
    }
    return datastore;
  }

  /** Datastore and path of `[name] path`; InvalidDatastore when there is none of that name. */
  parse(text: string): { readonly datastore: Datastore; readonly path: string } {
    const { datastore: name, path } = parseDatastorePath(text);
    const datastore = this.find(name) ?? this.#byUuid.get(name);
    if (datastore === undefined) throw fault('InvalidDatastore', { name }, `There is no datastore '${name}' here.`);
    return { datastore, path };
  }

  /** Adds a folder: makes it and gives it an identity where it has none. */
  async add(name: string, directory: string): Promise<Datastore> {
    if (this.find(name) !== undefined)
      throw fault(
        'DuplicateName',
        { name, object: this.find(name)?.ref as ManagedObjectReference },
        `The datastore '${name}' exists already.`,
      );
    await mkdir(directory, { recursive: true });
    const real = await realpath(directory);
    const uuid = await writeIdentity(real);
    const known = this.#byUuid.get(uuid);
    if (known !== undefined)
      throw new HostError('datastore-invalid', `${directory} is the datastore '${known.name}' already`);
    const datastore = new Datastore({ uuid, name, directory: real });
    const value: DatastoreDocument = { uuid, name, directory: real };
    await this.#store.transact([{ put: { collection, key: uuid, value } }]);
    this.#byUuid.set(uuid, datastore);
    return datastore;
  }

  /** Forgets a datastore; its folder stays. */
  async remove(datastore: Datastore): Promise<void> {
    await this.#store.transact([{ delete: { collection, key: datastore.uuid } }]);
    this.#byUuid.delete(datastore.uuid);
  }
}

/** Bytes of the file system below; undefined while the folder cannot be reached or is another than it was. */
export async function spaceOf(datastore: Datastore): Promise<DatastoreSpace | undefined> {
  try {
    const [stats, identity] = await Promise.all([
      statfs(datastore.directory),
      readFile(join(datastore.directory, identityFile), 'utf8'),
    ]);
    if (identity.trim() !== datastore.uuid) return undefined;
    return { capacityBytes: stats.blocks * stats.bsize, freeBytes: stats.bavail * stats.bsize };
  } catch {
    return undefined;
  }
}

/** The identity that a folder keeps, made when it has none, in the form that VMFS has. */
export async function writeIdentity(directory: string): Promise<string> {
  const path = join(directory, identityFile);
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
