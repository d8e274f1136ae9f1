import { basename } from 'node:path';
import { describeChain } from '@hypostyle/vmdk';
import { findEntry } from './datastore-index.ts';
import { formatDatastorePath, joinPath, splitPath } from './datastore-path.ts';
import { type DatastoreRoot, openInRoot, resolveInRoot } from './datastore-root.ts';

/** What a disk's descriptor says of it. */
export interface DiskFacts {
  readonly capacityBytes: number;
  readonly thin: boolean;
  /** Type of the backing that a machine has it by. */
  readonly backing: string;
  readonly hardwareVersion?: number;
  readonly controllerType?: string;
  /** Extents in datastore syntax. */
  readonly extents: readonly string[];
  /** Bytes of descriptor and extents together. */
  readonly fileBytes: number;
}

const backings = {
  flat: 'VirtualDiskFlatVer2BackingInfo',
  sparse: 'VirtualDiskSparseVer2BackingInfo',
  seSparse: 'VirtualDiskSeSparseBackingInfo',
} as const;

const controllerTypes: Readonly<Record<string, string>> = {
  ide: 'VirtualIDEController',
  buslogic: 'VirtualBusLogicController',
  lsilogic: 'VirtualLsiLogicController',
  lsisas1068: 'VirtualLsiLogicSASController',
  pvscsi: 'ParaVirtualSCSIController',
};

/** Undefined where the file is no disk that can be read, whatever its name says. */
export async function diskFacts(root: DatastoreRoot, path: string): Promise<DiskFacts | undefined> {
  const disk = await describedDisk(root, path);
  if (disk?.descriptor === undefined) return undefined;
  const { descriptor } = disk;
  const { folder } = splitPath(path);
  let fileBytes = (await findEntry(root, path))?.size ?? 0;
  const extents: string[] = [];
  for (const { path: file, fileBytes: bytes = 0 } of disk.extents) {
    // What lies in another folder is named there.
    if (file === undefined || basename(file) === splitPath(path).name) continue;
    const extent = joinPath(folder, basename(file));
    extents.push(formatDatastorePath({ datastore: root.name, path: extent }));
    fileBytes += bytes;
  }
  const version = Number(descriptor.ddb.get('virtualHWVersion'));
  const controllerType = controllerTypes[descriptor.ddb.get('adapterType') ?? ''];
  const sparse = disk.extents.some(({ type }) => type === 'SPARSE');
  return {
    capacityBytes: disk.virtualBytes,
    thin: sparse || descriptor.ddb.get('thinProvisioned') === '1',
    backing: disk.kind === 'seSparse' ? backings.seSparse : sparse ? backings.sparse : backings.flat,
    extents,
    fileBytes,
    ...(Number.isInteger(version) ? { hardwareVersion: version } : {}),
    ...(controllerType === undefined ? {} : { controllerType }),
  };
}

async function describedDisk(root: DatastoreRoot, path: string) {
  try {
    // No pipes and no links: what reads descriptors would follow.
    await (await openInRoot(root, path)).close();
    return (await describeChain(await resolveInRoot(root, path))).disks[0];
  } catch {
    return undefined;
  }
}
