import { createHash } from 'node:crypto';
import { faults, fileFault, readDiskChain, requirePrivilege, resolveInRoot } from '@hypostyle/services';
import type { ManagedObjectClass } from '@hypostyle/vim';
import type { HostCore } from '../host-core.ts';

/** VirtualDiskManager: disks of datastores, whether or not a machine uses them. */
export function virtualDiskManagerClass(core: HostCore): ManagedObjectClass<'VirtualDiskManager'> {
  return {
    type: 'VirtualDiskManager',
    methods: {
      QueryVirtualDiskUuid: async (call, { name }) => {
        const { datastore, path } = core.datastores.parse(name);
        requirePrivilege(core, call, datastore.ref, 'Datastore.FileManagement');
        try {
          const { uuid } = await readDiskChain(await resolveInRoot(datastore, path), {
            allowOutside: (outside) => outside.startsWith(`${datastore.directory}/`),
          });
          return shownUuid(uuid ?? uuidOfPlace(datastore.uuid, path));
        } catch (error) {
          const missing =
            error instanceof Error && (error.cause as NodeJS.ErrnoException | undefined)?.code === 'ENOENT';
          if (missing) throw faults.notFound(name);
          if (error instanceof Error && error.name === 'VmdkError')
            throw faults.incorrectFileType(name, error.message, error);
          throw fileFault(error, name, datastore.name);
        }
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
