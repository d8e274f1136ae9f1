import { adapterTypes, diskFragmentation, type Geometry, geometryOf } from '@hypostyle/vmdk';
import { type DiskChain, readDiskChain } from '../disks/disk-chain.ts';
import { faults } from '../errors.ts';
import { splitPath } from '../files/datastore-path.ts';
import { type DatastoreRoot, openInRoot, resolveInRoot, shownPath } from '../files/datastore-root.ts';
import { fileKind } from '../files/file-kinds.ts';
import { checkOrdinaryPath } from '../files/file-upload.ts';
import { virtualDiskFault } from './virtual-disk-faults.ts';

/**
 * The disk of a name with all that it lies on. Throws FileNotFound, and IncorrectFileType for what is no disk by its
 * name or content.
 */
export async function readVirtualDisk(root: DatastoreRoot, path: string): Promise<DiskChain> {
  checkDiskName(root, path);
  const full = await resolveInRoot(root, path);
  // No pipes and no links: what reads descriptors would follow.
  await (await openInRoot(root, path)).close();
  try {
    return await readDiskChain(full, { allowOutside: (outside) => outside.startsWith(`${root.directory}/`) });
  } catch (error) {
    throw virtualDiskFault(error, root, path);
  }
}

/** Throws IncorrectFileType for a name that no disk has: the files with its bytes are no disks by themselves. */
export function checkDiskName(root: DatastoreRoot, path: string): void {
  checkOrdinaryPath(root, path);
  if (fileKind(splitPath(path).name) !== 'disk' || !/\.vmdk$/i.test(path))
    throw faults.incorrectFileType(
      shownPath(root, path),
      'a virtual disk is named by its descriptor, such as disk.vmdk',
    );
}

/** What a BIOS takes the disk for: as its descriptor says, or else as its size does. */
export function diskGeometry({ links, capacityBytes }: DiskChain): Geometry {
  for (const { ddb } of links.map(({ descriptor }) => descriptor)) {
    const [cylinders, heads, sectors] = ['cylinders', 'heads', 'sectors'].map((each) =>
      Number(ddb.get(`geometry.${each}`)),
    );
    if (isCount(cylinders) && isCount(heads) && isCount(sectors)) return { cylinders, heads, sectors };
  }
  const named = links.at(-1)?.descriptor.ddb.get('adapterType');
  return geometryOf(capacityBytes, adapterTypes.find((type) => type === named) ?? 'lsilogic');
}

/** Percent of the disk's own grains that do not follow one another in their file. */
export async function virtualDiskFragmentation(root: DatastoreRoot, path: string, chain: DiskChain): Promise<number> {
  try {
    return await diskFragmentation(chain.links[0].descriptorPath, {
      allowOutside: (reference) => reference.path.startsWith(`${root.directory}/`),
    });
  } catch (error) {
    throw virtualDiskFault(error, root, path);
  }
}

function isCount(value: number | undefined): value is number {
  return value !== undefined && Number.isSafeInteger(value) && value > 0;
}
