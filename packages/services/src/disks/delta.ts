import { open, rm } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import type { ImageTool } from '@hypostyle/contracts';
import {
  deltaDescriptor,
  editDescriptor,
  encodeDescriptor,
  newContentId,
  withContentId,
  writeDescriptor,
} from '@hypostyle/vmdk';
import type { DiskChain, DiskLink } from './disk-chain.ts';

/** Name of the extent of a delta: `disk-000001.vmdk` has `disk-000001-delta.qcow2`. */
export function deltaExtentName(descriptorPath: string): string {
  return `${basename(descriptorPath).replace(/\.vmdk$/i, '')}-delta.qcow2`;
}

/** The next free delta name of a disk: `disk-000001.vmdk`, also after `disk-000003.vmdk`. */
export function nextDeltaName(fileName: string, taken: (name: string) => boolean): string {
  const stem = fileName.replace(/\.vmdk$/i, '').replace(/-\d{6}$/, '');
  for (let number = 1; number < 1_000_000; number += 1) {
    const name = `${stem}-${String(number).padStart(6, '0')}.vmdk`;
    if (!taken(name)) return name;
  }
  throw new Error(`${fileName} has no free delta name`);
}

/** Absolute paths of the files of a delta: its descriptor and its extent. */
export function deltaFiles(descriptorPath: string): readonly [descriptor: string, extent: string] {
  return [descriptorPath, join(dirname(descriptorPath), deltaExtentName(descriptorPath))];
}

/** Makes an empty delta on top of a chain, and answers the chain as it is read from then on; nothing stays when it fails. */
export async function createDelta(options: {
  readonly path: string;
  readonly parent: DiskChain;
  readonly images: ImageTool;
  /**
   * The caller syncs the folder, before anything names the delta: the descriptor is written in its place, beside the
   * extent. Otherwise it comes whole and last.
   */
  readonly folderIsSynced?: boolean;
}): Promise<DiskChain> {
  const { path, parent, images } = options;
  const top = parent.links[0];
  const extentName = deltaExtentName(path);
  const extentPath = join(dirname(path), extentName);
  const makeExtent = () =>
    images.createDelta({
      path: extentPath,
      virtualBytes: parent.capacityBytes,
      backing: { ...top.layer, relativePath: relative(dirname(path), top.layer.path) },
    });
  const plain = deltaDescriptor({
    virtualBytes: parent.capacityBytes,
    extentName,
    parentContentId: top.descriptor.contentId,
    parentFileNameHint: relative(dirname(path), top.descriptorPath),
  });
  // The guest sees one disk, whatever it is made of.
  const { uuid } = parent;
  const descriptor = uuid === undefined ? plain : editDescriptor(plain, { ddb: { uuid: uuidText(uuid) } });
  const link: DiskLink = {
    descriptorPath: path,
    descriptor,
    extentPaths: [extentPath],
    kind: 'delta',
    layer: { format: 'qcow2', path: extentPath },
  };
  const chain: DiskChain = { ...parent, links: [link, ...parent.links] };
  if (!options.folderIsSynced) {
    await makeExtent();
    try {
      await writeDescriptor(path, descriptor);
    } catch (error) {
      await rm(extentPath, { force: true });
      throw error;
    }
    return chain;
  }
  const made = await Promise.allSettled([makeExtent(), writeInPlace(path, encodeDescriptor(descriptor, path))]);
  const [extent, named] = made;
  const failed = made.find((end) => end.status === 'rejected');
  if (failed === undefined) return chain;
  // What was there before is not ours to remove.
  if (extent.status === 'fulfilled') await rm(extentPath, { force: true });
  if (named.status === 'fulfilled') await rm(path, { force: true });
  throw failed.reason;
}

async function writeInPlace(path: string, bytes: Uint8Array): Promise<void> {
  const handle = await open(path, 'wx', 0o644);
  try {
    await handle.writeFile(bytes);
    await handle.sync();
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  } finally {
    await handle.close();
  }
}

/** `60 00 c2 9a …-…`, as descriptors have it. */
function uuidText(uuid: string): string {
  const pairs = uuid.replaceAll('-', '').match(/../g) ?? [];
  return `${pairs.slice(0, 8).join(' ')}-${pairs.slice(8).join(' ')}`;
}

/** Persists a new CID for a disk that is about to be written; must be durable before the engine opens it. */
export async function renewContentId({ links: [{ descriptor, descriptorPath }] }: DiskChain): Promise<void> {
  await writeDescriptor(descriptorPath, withContentId(descriptor, newContentId()), { replace: true });
}
