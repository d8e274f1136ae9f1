import { type DiskChain, joinPath, readDiskChain, splitPath } from '@hypostyle/services';
import { VmxFile } from '../../vmx/vmx-file.ts';
import { diskPath, readVmx } from '../files/machine-files.ts';
import { readOwnFile, readVmsn } from '../snapshot/snapshot-files.ts';
import { findSnapshot } from '../snapshot/snapshot-list.ts';
import type { CloneSource } from './clone-request.ts';

/** Largest file of the firmware that a clone takes over, in bytes. */
const maximumNvramBytes = 8 << 20;

export interface SourceState {
  readonly vmx: VmxFile;
  readonly nvram: Uint8Array | undefined;
}

/** What a clone reads of its original. */
export interface SourceReads {
  state(): Promise<SourceState>;
  /** Chain of a disk, by the name that the source's configuration has for it. */
  chain(fileName: string): Promise<DiskChain>;
}

interface Shared {
  users: number;
  readonly reads: Map<string, Promise<unknown>>;
}

/**
 * What clones of one snapshot that are made at a time read of it: once for all of them. It stays as it is for as long as
 * any of them keeps it so. A machine itself is read by each.
 */
export class SharedSources {
  readonly #shared = new Map<string, Shared>();

  /** `release` when the source is not kept as it is any more. */
  open(source: CloneSource): SourceReads & { readonly release: () => void } {
    const { machine, uid } = source;
    const { datastore, vmxPath } = machine;
    const chain = (fileName: string) =>
      readDiskChain(diskPath(datastore, vmxPath, fileName), { allowOutside: (path) => datastore.holds(path) });
    const state = () => readState(source);
    if (uid === undefined) return { state, chain, release: () => {} };
    const key = `${machine.id} ${uid}`;
    const shared = this.#shared.get(key) ?? { users: 0, reads: new Map() };
    this.#shared.set(key, shared);
    shared.users += 1;
    const once = <T>(name: string, read: () => Promise<T>): Promise<T> => {
      const known = shared.reads.get(name) as Promise<T> | undefined;
      if (known !== undefined) return known;
      const reading = read();
      shared.reads.set(name, reading);
      // What failed is tried again by the next.
      reading.catch(() => shared.reads.delete(name));
      return reading;
    };
    return {
      state: () => once('state', state),
      chain: (fileName) => once(`disk ${fileName}`, () => chain(fileName)),
      release: () => {
        shared.users -= 1;
        if (shared.users === 0) this.#shared.delete(key);
      },
    };
  }
}

/** The `.vmx` and the firmware's variables of what is copied: as they are, or as a snapshot has them. */
export async function readState({ machine, uid }: Pick<CloneSource, 'machine' | 'uid'>): Promise<SourceState> {
  const { datastore, vmxPath, snapshots, configuration } = machine;
  const entry = uid === undefined ? undefined : findSnapshot(snapshots.entries, uid);
  if (entry !== undefined) {
    const state = await readVmsn(datastore, vmxPath, entry.fileName);
    return { vmx: VmxFile.parse(state.vmx, entry.fileName), nvram: state.nvram };
  }
  const nvramName = splitPath(configuration.nvram).name;
  const path = joinPath(splitPath(vmxPath).folder, nvramName);
  const nvram = nvramName === '' ? undefined : await readOwnFile(datastore, path, maximumNvramBytes);
  return { vmx: await readVmx(datastore, vmxPath), nvram };
}
