import { join } from 'node:path';
import {
  checkRelativePath,
  type DatastoreRoot,
  formatDatastorePath,
  joinPath,
  parseDatastorePath,
  splitPath,
} from '@hypostyle/services';
import { type ManagedObjectReference, VimFault } from '@hypostyle/vim';

/** A datastore of this host: a folder with an identity. */
export class Datastore implements DatastoreRoot {
  /** Kept in the folder; also the reference's value. */
  readonly uuid: string;
  readonly directory: string;
  readonly ref: ManagedObjectReference<'Datastore'>;

  #name: string;
  readonly #others: () => Iterable<Datastore>;

  constructor(options: {
    readonly uuid: string;
    readonly name: string;
    readonly directory: string;
    /** All datastores of the host, on which machines of this one may have disks and images. */
    readonly others?: () => Iterable<Datastore>;
  }) {
    this.uuid = options.uuid;
    this.#name = options.name;
    this.directory = options.directory;
    this.#others = options.others ?? (() => []);
    this.ref = { _typeName: 'ManagedObjectReference', type: 'Datastore', value: options.uuid };
  }

  /** Its name now: `rename` changes it, and what is shown of it follows. */
  get name(): string {
    return this.#name;
  }

  /** In the commit that shows it, once it is durable. */
  rename(name: string): void {
    this.#name = name;
  }

  /** As `Datastore.info.url` has it. */
  get url(): string {
    return `/vmfs/volumes/${this.uuid}`;
  }

  /** `[name] path`. */
  format(path: string): string {
    const at = this.locate(path);
    return formatDatastorePath({ datastore: at.datastore.name, path: at.path });
  }

  /** Absolute path on this machine of a path in the datastore. */
  absolute(path: string): string {
    const at = this.locate(path);
    return join(at.datastore.directory, checkRelativePath(at.path));
  }

  /**
   * Where a path of a machine of this datastore leads: a path in it, or `/vmfs/volumes/<uuid>/…` for what the machine
   * has on another datastore of the host.
   */
  locate(path: string): { readonly datastore: Datastore; readonly path: string } {
    if (!path.startsWith('/')) return { datastore: this, path };
    for (const datastore of this.#others())
      if (path.startsWith(`${datastore.url}/`)) return { datastore, path: path.slice(datastore.url.length + 1) };
    return { datastore: this, path };
  }

  /** What machines of this datastore call a path of machines of another one. */
  pathFrom(datastore: Datastore, path: string): string {
    if (datastore === this) return path;
    const at = datastore.locate(path);
    return at.datastore === this ? at.path : `${at.datastore.url}/${at.path}`;
  }

  /** What machines of this datastore call a file by its absolute path on this machine; that itself where it is on none. */
  pathOf(absolute: string): string {
    if (absolute.startsWith(`${this.directory}/`)) return absolute.slice(this.directory.length + 1);
    for (const { directory, url } of this.#others())
      if (absolute.startsWith(`${directory}/`)) return `${url}/${absolute.slice(directory.length + 1)}`;
    return absolute;
  }

  /** What a tool or an engine said, with paths of datastores in place of those on this machine. */
  shown(message: string): string {
    let text = message;
    for (const { directory, name } of [this, ...this.#others()]) text = text.replaceAll(`${directory}/`, `[${name}] `);
    return text;
  }

  /** True for an absolute path on this machine that is on any datastore of the host. */
  holds(absolute: string): boolean {
    if (absolute.startsWith(`${this.directory}/`)) return true;
    for (const { directory } of this.#others()) if (absolute.startsWith(`${directory}/`)) return true;
    return false;
  }

  /**
   * Datastore path of a file that a `.vmx` names: beside the `.vmx`, as `[name] path`, or absolute under
   * `/vmfs/volumes/<uuid or name>`.
   */
  resolve(vmxPath: string, fileName: string): string {
    const path = this.relative(vmxPath, fileName);
    return path === undefined ? fileName : this.format(path);
  }

  /** The same as a path of the machine, see `locate`; undefined when it is on no datastore of the host, or is no path. */
  relative(vmxPath: string, fileName: string): string | undefined {
    try {
      if (fileName.startsWith('[')) {
        const parsed = parseDatastorePath(fileName);
        if (parsed.datastore === this.name) return parsed.path;
        for (const other of this.#others())
          if (other.name === parsed.datastore) return this.pathFrom(other, parsed.path);
        return undefined;
      }
      const own = below(this, fileName);
      if (own !== undefined) return own;
      if (fileName.startsWith('/')) {
        for (const other of this.#others()) {
          const path = below(other, fileName);
          if (path !== undefined) return this.pathFrom(other, path);
        }
        return undefined;
      }
      const path = normalise(joinPath(splitPath(vmxPath).folder, fileName));
      return path === undefined ? undefined : checkRelativePath(path);
    } catch (error) {
      // A folder that was brought may name anything; whoever needs the file says that it is not here.
      if (error instanceof VimFault) return undefined;
      throw error;
    }
  }
}

/** The path in a datastore of an absolute one: by its identity, its name, or where it is on this machine. */
function below({ url, name, directory }: Datastore, absolute: string): string | undefined {
  for (const root of [url, `/vmfs/volumes/${name}`, directory])
    if (absolute.startsWith(`${root}/`)) return checkRelativePath(absolute.slice(root.length + 1));
  return undefined;
}

/** Follows `..` within the datastore, where linked clones find their parents; undefined when it leads out. */
function normalise(path: string): string | undefined {
  const parts: string[] = [];
  for (const part of path.split('/')) {
    if (part === '.' || part === '') continue;
    if (part === '..') {
      if (parts.pop() === undefined) return undefined;
    } else parts.push(part);
  }
  return parts.join('/');
}
