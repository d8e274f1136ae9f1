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

  constructor(options: { readonly uuid: string; readonly name: string; readonly directory: string }) {
    this.uuid = options.uuid;
    this.#name = options.name;
    this.directory = options.directory;
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
    return formatDatastorePath({ datastore: this.name, path });
  }

  /** Absolute path on this machine of a path in the datastore. */
  absolute(path: string): string {
    return join(this.directory, checkRelativePath(path));
  }

  /**
   * Datastore path of a file that a `.vmx` names: beside the `.vmx`, as `[name] path`, or absolute under
   * `/vmfs/volumes/<uuid or name>`.
   */
  resolve(vmxPath: string, fileName: string): string {
    const path = this.relative(vmxPath, fileName);
    return path === undefined ? fileName : this.format(path);
  }

  /** The same relative to the root; undefined when it lies outside this datastore, or is no path. */
  relative(vmxPath: string, fileName: string): string | undefined {
    try {
      if (fileName.startsWith('[')) {
        const parsed = parseDatastorePath(fileName);
        return parsed.datastore === this.name ? parsed.path : undefined;
      }
      for (const root of [this.url, `/vmfs/volumes/${this.name}`, this.directory]) {
        if (fileName.startsWith(`${root}/`)) return checkRelativePath(fileName.slice(root.length + 1));
      }
      if (fileName.startsWith('/')) return undefined;
      const path = normalise(joinPath(splitPath(vmxPath).folder, fileName));
      return path === undefined ? undefined : checkRelativePath(path);
    } catch (error) {
      // A folder that was brought may name anything; whoever needs the file says that it is not here.
      if (error instanceof VimFault) return undefined;
      throw error;
    }
  }
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
