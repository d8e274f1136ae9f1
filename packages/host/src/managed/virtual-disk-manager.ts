import { createHash } from 'node:crypto';
import { diskGeometry, faults, readVirtualDisk, requirePrivilege, virtualDiskFragmentation } from '@hypostyle/services';
import { type Call, data, fault, type ManagedObjectClass } from '@hypostyle/vim';
import { defineDiskChangeWork } from '../disks/disk-change-work.ts';
import type { DiskWork } from '../disks/disk-work.ts';
import type { HostCore } from '../host-core.ts';

/** VirtualDiskManager: disks of datastores, whether or not a machine uses them. */
export function virtualDiskManagerClass(core: HostCore, disks: DiskWork): ManagedObjectClass<'VirtualDiskManager'> {
  const changes = defineDiskChangeWork(core);
  const mayManage = (call: Call, ...names: string[]) => {
    for (const name of names) {
      const { datastore } = core.datastores.parse(name);
      requirePrivilege(core, call, datastore.ref, 'Datastore.FileManagement');
    }
  };
  const read = async (call: Call, name: string) => {
    mayManage(call, name);
    const { datastore, path } = core.datastores.parse(name);
    return { datastore, path, chain: await readVirtualDisk(datastore, path) };
  };
  /** A method that only names a disk. */
  const named =
    (start: (call: Call, name: string) => ReturnType<typeof changes.inflate>) =>
    (call: Call, { name }: { readonly name: string }) => {
      mayManage(call, name);
      return start(call, name);
    };
  return {
    type: 'VirtualDiskManager',
    methods: {
      CreateVirtualDisk_Task: (call, { name, spec }) => {
        mayManage(call, name);
        return disks.create(call, name, spec);
      },
      CopyVirtualDisk_Task: (call, { sourceName, destName, destSpec, force = false }) => {
        mayManage(call, sourceName, destName);
        return disks.copy(call, { sourceName, destName, force }, destSpec);
      },
      MoveVirtualDisk_Task: (call, { sourceName, destName, force = false, profile }) => {
        mayManage(call, sourceName, destName);
        return disks.move(call, { sourceName, destName, force }, profile);
      },
      DeleteVirtualDisk_Task: named(disks.delete),
      ExtendVirtualDisk_Task: (call, { name, newCapacityKb, eagerZero = false }) => {
        mayManage(call, name);
        return changes.extend(call, name, newCapacityKb, eagerZero);
      },
      InflateVirtualDisk_Task: named(changes.inflate),
      EagerZeroVirtualDisk_Task: named(changes.eagerZero),
      // In place or by copying: what comes of it is the same.
      ShrinkVirtualDisk_Task: named(changes.shrink),
      DefragmentVirtualDisk_Task: named(changes.defragment),
      ZeroFillVirtualDisk_Task: named(changes.zeroFill),
      QueryVirtualDiskFragmentation: async (call, { name }) => {
        const { datastore, path, chain } = await read(call, name);
        return virtualDiskFragmentation(datastore, path, chain);
      },
      QueryVirtualDiskGeometry: async (call, { name }) => {
        const { cylinders, heads, sectors } = diskGeometry((await read(call, name)).chain);
        return data('HostDiskDimensionsChs', { cylinder: cylinders, head: heads, sector: sectors });
      },
      QueryVirtualDiskUuid: async (call, { name }) => {
        const { datastore, path, chain } = await read(call, name);
        return shownUuid(chain.uuid ?? uuidOfPlace(datastore.uuid, path));
      },
      SetVirtualDiskUuid: (call, { name, uuid }) => {
        mayManage(call, name);
        return changes.setUuid(call, name, uuid);
      },
      ImportUnmanagedSnapshot: async (call, { vdisk, vvolId }) => {
        await read(call, vdisk);
        throw fault(
          'NotFound',
          {},
          `There is no virtual volume '${vvolId.slice(0, 100)}': datastores here are folders.`,
        );
      },
      ReleaseManagedSnapshot: async (call, { vdisk }) => {
        await read(call, vdisk);
        throw faults.notSupported('Disks here are files, and no snapshots of virtual volumes.');
      },
    },
  };
}

/** A disk of another make may have none: clients that key disks by it get one that stays while the disk does. */
function uuidOfPlace(datastore: string, path: string): string {
  return createHash('sha256').update(`disk ${datastore} ${path}`).digest('hex').slice(0, 32);
}

/** `60 00 c2 9a 1b 2c 3d 4e-5f …`, as the interface has it. */
function shownUuid(uuid: string): string {
  const bytes = uuid.replaceAll('-', '').match(/../g) ?? [];
  return `${bytes.slice(0, 8).join(' ')}-${bytes.slice(8).join(' ')}`;
}
