import type { Descriptor } from '@hypostyle/vmdk';
import { readDescriptor, sectorBytes } from '@hypostyle/vmdk';
import { findEntry } from './datastore-index.ts';
import { formatDatastorePath, joinPath, splitPath } from './datastore-path.ts';
import { type DatastoreRoot, openInRoot, resolveInRoot } from './datastore-root.ts';

/** What a disk's descriptor says of it. */
export interface DiskFacts {
  readonly capacityBytes: number;
  readonly thin: boolean;
  readonly hardwareVersion?: number;
  readonly controllerType?: string;
  /** Extents in datastore syntax. */
  readonly extents: readonly string[];
  /** Bytes of descriptor and extents together. */
  readonly fileBytes: number;
}

const controllerTypes: Readonly<Record<string, string>> = {
  ide: 'VirtualIDEController',
  buslogic: 'VirtualBusLogicController',
  lsilogic: 'VirtualLsiLogicController',
  lsisas1068: 'VirtualLsiLogicSASController',
  pvscsi: 'ParaVirtualSCSIController',
};

/** Undefined where the file is no descriptor: a bare sparse disk, or something else of that name. */
export async function diskFacts(root: DatastoreRoot, path: string): Promise<DiskFacts | undefined> {
  const descriptor = await descriptorAt(root, path);
  if (descriptor === undefined) return undefined;
  const { folder } = splitPath(path);
  let fileBytes = (await findEntry(root, path))?.size ?? 0;
  const extents: string[] = [];
  for (const { file } of descriptor.extents) {
    if (file === undefined || file.includes('/')) continue;
    const extent = joinPath(folder, file);
    extents.push(formatDatastorePath({ datastore: root.name, path: extent }));
    fileBytes += (await findEntry(root, extent))?.size ?? 0;
  }
  const version = Number(descriptor.ddb.get('virtualHWVersion'));
  const controllerType = controllerTypes[descriptor.ddb.get('adapterType') ?? ''];
  return {
    capacityBytes: descriptor.extents.reduce((sum, { sectors }) => sum + sectors, 0) * sectorBytes,
    thin: descriptor.ddb.get('thinProvisioned') === '1',
    extents,
    fileBytes,
    ...(Number.isInteger(version) ? { hardwareVersion: version } : {}),
    ...(controllerType === undefined ? {} : { controllerType }),
  };
}

async function descriptorAt(root: DatastoreRoot, path: string): Promise<Descriptor | undefined> {
  try {
    await (await openInRoot(root, path)).close();
    return await readDescriptor(await resolveInRoot(root, path));
  } catch {
    return undefined;
  }
}
