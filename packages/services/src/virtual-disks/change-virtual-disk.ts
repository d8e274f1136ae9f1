import { rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { defragmentDisk, deleteDisk, setDiskUuid, thickenDisk, thinDisk, zeroDisk } from '@hypostyle/vmdk';
import { storedBytes } from '../disks/copy-machine-disk.ts';
import type { DiskChain } from '../disks/disk-chain.ts';
import { growMachineDisk } from '../disks/grow-disk.ts';
import { faults } from '../errors.ts';
import { type DatastoreRoot, shownPath } from '../files/datastore-root.ts';
import { checkFreeSpace } from '../files/free-space.ts';
import { virtualDiskFault } from './virtual-disk-faults.ts';

/** Work on a disk where it lies. Nobody may use it meanwhile; cut off, it can be done again. */
export interface DiskChange {
  readonly root: DatastoreRoot;
  /** Path of the descriptor in the datastore. */
  readonly path: string;
  readonly chain: DiskChain;
  readonly signal: AbortSignal;
  /** Told how far it is, 0 to 1. */
  readonly onProgress: (fraction: number) => void;
}

/**
 * Gives a disk more capacity. What is added to one that takes its room at once is reserved, or filled with zeros. Throws
 * InvalidArgument for less than it has, NoDiskSpace, NotSupported.
 */
export async function extendVirtualDisk(
  change: DiskChange & { readonly capacityBytes: number; readonly eagerZero: boolean },
): Promise<void> {
  const { root, path, chain, capacityBytes, eagerZero, signal } = change;
  refuseStacked(change);
  if (capacityBytes < chain.capacityBytes)
    throw faults.invalidArgument('newCapacityKb', 'A disk cannot be made smaller.');
  const [{ kind, descriptorPath }] = chain.links;
  const thick = kind === 'flat' && !chain.thin;
  if (eagerZero && !thick)
    throw faults.invalidArgument('eagerZero', 'The disk takes its room as it is written; inflate it instead.');
  if (thick) await checkFreeSpace(root, path, capacityBytes - chain.capacityBytes);
  await dropChangeImages(chain);
  await growMachineDisk({ root, path: descriptorPath, capacityBytes, signal });
  if (thick) await fillUp(change, eagerZero ? 'eager' : 'thick');
}

/** Takes all the room that a flat disk may need, and fills it with zeros: it is thin no more. */
export async function inflateVirtualDisk(change: DiskChange): Promise<void> {
  await fillUp(change, 'eager');
}

/** Gives the room of zeros back. Throws IncorrectFileType for a disk that takes its room at once on purpose. */
export async function shrinkVirtualDisk(change: DiskChange): Promise<void> {
  const { root, path, chain, signal, onProgress } = change;
  refuseStacked(change);
  const [{ kind, descriptorPath, descriptor }] = chain.links;
  const flat = kind === 'flat' || descriptor.extents.every(({ type }) => type === 'FLAT' || type === 'VMFS');
  if (flat && descriptor.ddb.get('thinProvisioned') !== '1')
    throw faults.incorrectFileType(shownPath(root, path), 'it takes all of its room at once; copy it as a thin disk');
  await onDisk(change, () =>
    thinDisk({
      path: descriptorPath,
      allowOutside: within(root),
      signal,
      onProgress: ({ doneBytes, totalBytes }) => onProgress(doneBytes / Math.max(1, totalBytes)),
    }),
  );
}

/** Puts the grains of a sparse disk in order; a flat one is. */
export async function defragmentVirtualDisk(change: DiskChange): Promise<void> {
  const { root, chain, signal, onProgress } = change;
  refuseStacked(change);
  await onDisk(change, () =>
    defragmentDisk({
      path: chain.links[0].descriptorPath,
      allowOutside: within(root),
      signal,
      onProgress: ({ doneBytes, totalBytes }) => onProgress(doneBytes / Math.max(1, totalBytes)),
    }),
  );
}

/** Makes all of a disk read as zeros. */
export async function zeroFillVirtualDisk(change: DiskChange): Promise<void> {
  const { root, chain, signal, onProgress } = change;
  refuseStacked(change);
  await dropChangeImages(chain);
  await onDisk(change, () =>
    zeroDisk({
      path: chain.links[0].descriptorPath,
      childFolders: [dirname(chain.links[0].descriptorPath)],
      allowOutside: within(root),
      signal,
      onProgress: ({ doneBytes, totalBytes }) => onProgress(doneBytes / Math.max(1, totalBytes)),
    }),
  );
}

/** Deletes a disk with all its files, as far as they are there. Throws FileLocked for one that others stand on. */
export async function deleteVirtualDisk(root: DatastoreRoot, path: string, full: string): Promise<void> {
  try {
    await deleteDisk(full, { incomplete: true, childFolders: [dirname(full)] });
  } catch (error) {
    throw virtualDiskFault(error, root, path);
  }
}

/** Gives a disk another UUID. Throws InvalidArgument for what is none. */
export async function setVirtualDiskUuid({ root, path, chain }: DiskChange, uuid: string): Promise<void> {
  if (!/^[0-9a-f]{32}$/i.test(uuid.replace(/[\s-]/g, '')))
    throw faults.invalidArgument('uuid', `'${uuid.slice(0, 100)}' is no UUID.`);
  try {
    await setDiskUuid(chain.links[0].descriptorPath, uuid);
  } catch (error) {
    throw virtualDiskFault(error, root, path);
  }
}

async function fillUp(change: DiskChange, allocation: 'thick' | 'eager'): Promise<void> {
  const { root, path, chain, signal, onProgress } = change;
  refuseStacked(change);
  if (chain.thin) await checkFreeSpace(root, path, await missingBytes(chain));
  await onDisk(change, () =>
    thickenDisk({
      path: chain.links[0].descriptorPath,
      allocation,
      allowOutside: within(root),
      signal,
      onProgress: ({ doneBytes, totalBytes }) => onProgress(doneBytes / Math.max(1, totalBytes)),
    }),
  );
}

async function missingBytes(chain: DiskChain): Promise<number> {
  return Math.max(0, chain.capacityBytes - (await storedBytes(chain)));
}

function refuseStacked({ root, path, chain }: DiskChange): void {
  const [{ kind }, ...below] = chain.links;
  if (below.length === 0 && kind !== 'delta' && kind !== 'settling') return;
  throw faults.notSupported(`${shownPath(root, path)} stands on another disk; consolidate its machine's disks first.`);
}

/** What is kept of a disk's changes is of its former size and content. */
async function dropChangeImages({ links }: DiskChain): Promise<void> {
  for (const { changesPath } of links) if (changesPath !== undefined) await rm(changesPath, { force: true });
}

function within(root: DatastoreRoot) {
  return ({ path }: { readonly path: string }) => path.startsWith(`${root.directory}/`);
}

async function onDisk({ root, path, signal }: DiskChange, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    throw virtualDiskFault(error, root, path);
  }
}
