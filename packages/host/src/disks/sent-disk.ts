import { randomUUID } from 'node:crypto';
import {
  type Bundle,
  type BundleEntry,
  checkDiskName,
  flatDiskEntries,
  folderEntry,
  readVirtualDisk,
  splitPath,
  storedBytes,
} from '@hypostyle/services';
import type { Datastore } from '../datastore/datastore.ts';
import type { HostCore } from '../host-core.ts';
import { freeSocketPath } from '../machine/files/socket-path.ts';
import { checkDisk, filesOfChain, lockDisks } from './disk-locks.ts';

/** A disk with all that it lies on, for another host: nobody writes it while it is sent. Throws as `checkDisk`. */
export async function sentDisk(
  core: HostCore,
  datastore: Datastore,
  path: string,
  keepsUuid: boolean,
): Promise<Bundle> {
  checkDiskName(datastore, path);
  const chain = await readVirtualDisk(datastore, path);
  const disk = { datastore, path, files: filesOfChain(datastore, chain, 'read') };
  await checkDisk(core, disk, 'read');
  const { ddb } = chain.links[0].descriptor;
  const hardware = Number(ddb.get('virtualHWVersion'));
  const adapter = ddb.get('adapterType');
  const entries = async function* (): AsyncGenerator<BundleEntry, void, undefined> {
    const reader = { _typeName: 'ManagedObjectReference', type: 'Task', value: `sending-${randomUUID()}` } as const;
    const release = lockDisks(core, reader, [{ disk, use: 'read' }]);
    try {
      yield folderEntry('');
      yield* flatDiskEntries({
        place: { root: datastore, path, images: core.hypervisor.images, socketPath: () => freeSocketPath(core) },
        capacityBytes: chain.capacityBytes,
        name: splitPath(path).name,
        allocation: chain.thin ? 'thin' : 'thick',
        adapter: adapter === 'ide' || adapter === 'buslogic' ? adapter : 'lsilogic',
        hardwareVersion: Number.isInteger(hardware) && hardware > 0 && hardware < 1000 ? hardware : 13,
        ...(keepsUuid ? { uuid: chain.uuid } : {}),
      });
    } finally {
      release();
    }
  };
  return {
    storedBytes: chain.thin ? Math.min(chain.capacityBytes, await storedBytes(chain)) : chain.capacityBytes,
    entries: entries(),
  };
}
