import {
  copyFile,
  deleteFile,
  faults,
  findEntry,
  makeDirectory,
  moveFile,
  requirePrivilege,
} from '@hypostyle/services';
import { type Call, data, type FileLockInfo, fault, type ManagedObjectClass, type RunningTask } from '@hypostyle/vim';
import { busyFiles, writtenFiles } from '../datastore/busy-files.ts';
import type { HostCore } from '../host-core.ts';

interface MoveJournal {
  readonly step: 'copied';
}

interface TransferInput {
  readonly source: string;
  readonly target: string;
  readonly force: boolean;
}

/** FileManager: files and folders of datastores. What a machine that runs uses is never touched. */
export function fileManagerClass(core: HostCore): ManagedObjectClass<'FileManager'> {
  const isBusy = busyFiles(core);
  const isWritten = writtenFiles(core);
  const { images } = core.hypervisor;
  const place = (name: string) => {
    const { datastore, path } = core.datastores.parseOfTask(name);
    return { root: datastore, path };
  };
  const mayManage = (call: Call, name: string) =>
    requirePrivilege(core, call, place(name).root.ref, 'Datastore.FileManagement');
  const interrupted = () =>
    fault(
      'SystemError',
      { reason: 'interrupted' },
      'The management service restarted before the files were all there; nothing half-made is left. Try again.',
    );
  const tellTransfer = (
    task: RunningTask,
    type: 'DatastoreFileMovedEvent' | 'DatastoreFileCopiedEvent',
    source: string,
    target: string,
  ) => {
    const from = place(source).root;
    task.post(undefined, {
      type,
      entity: place(target).root.ref,
      members: {
        targetFile: target,
        sourceFile: source,
        sourceDatastore: { _typeName: 'DatastoreEventArgument', name: from.name, datastore: from.ref },
        succeeded: true,
      },
    });
  };
  const tellDeleted = (task: RunningTask, name: string) =>
    task.post(undefined, {
      type: 'DatastoreFileDeletedEvent',
      entity: place(name).root.ref,
      members: { targetFile: name, succeeded: true },
    });
  /** A deletion may have been done already. */
  const removeAgain = async (name: string) => {
    try {
      await deleteFile(place(name).root, place(name).path, isBusy);
    } catch (error) {
      if ((error as { type?: string }).type !== 'FileNotFound') throw error;
    }
  };
  const move = core.tasks.define<TransferInput>('FileManager.move', {
    method: 'MoveDatastoreFile_Task',
    heavy: true,
    run: async (task, { source, target, force }) => {
      await moveFile(place(source), place(target), {
        force,
        isBusy,
        images,
        signal: task.signal,
        onProgress: (fraction) => task.progress(Math.floor(fraction * 95)),
        onCopied: () => task.journal({ step: 'copied' } satisfies MoveJournal),
      });
      tellTransfer(task, 'DatastoreFileMovedEvent', source, target);
    },
    resume: async (task, { source, target }) => {
      const { step } = (task.journaled ?? {}) as Partial<MoveJournal>;
      if (step === 'copied') await removeAgain(source);
      // A rename is done or not: where the source is gone and the target there, it was.
      const [from, to] = await Promise.all(
        [source, target].map((name) => findEntry(place(name).root, place(name).path)),
      );
      if (from !== undefined || to === undefined) throw interrupted();
      tellTransfer(task, 'DatastoreFileMovedEvent', source, target);
    },
  });
  const copy = core.tasks.define<TransferInput>('FileManager.copy', {
    method: 'CopyDatastoreFile_Task',
    heavy: true,
    cancelable: true,
    run: async (task, { source, target, force }) => {
      await copyFile(place(source), place(target), {
        force,
        isBusy,
        isWritten,
        images,
        signal: task.signal,
        onProgress: (fraction) => task.progress(Math.floor(fraction * 95)),
      });
      tellTransfer(task, 'DatastoreFileCopiedEvent', source, target);
    },
    resume: async () => {
      throw interrupted();
    },
  });
  const remove = core.tasks.define<{ readonly name: string }>('FileManager.deleteFile', {
    method: 'DeleteDatastoreFile_Task',
    run: async (task, { name }) => {
      await deleteFile(place(name).root, place(name).path, isBusy);
      tellDeleted(task, name);
    },
    resume: async (task, { name }) => {
      await removeAgain(name);
      tellDeleted(task, name);
    },
  });
  return {
    type: 'FileManager',
    methods: {
      MoveDatastoreFile_Task: (call, { sourceName, destinationName, force = false }) => {
        for (const name of [sourceName, destinationName]) mayManage(call, name);
        return move(call, { input: { source: sourceName, target: destinationName, force } });
      },
      CopyDatastoreFile_Task: (call, { sourceName, destinationName, force = false }) => {
        for (const name of [sourceName, destinationName]) mayManage(call, name);
        return copy(call, { input: { source: sourceName, target: destinationName, force } });
      },
      DeleteDatastoreFile_Task: (call, { name }) => {
        mayManage(call, name);
        return remove(call, { input: { name } });
      },
      MakeDirectory: (call, { name, createParentDirectories = false }) => {
        mayManage(call, name);
        return makeDirectory(place(name), createParentDirectories);
      },
      ChangeOwner: async (call, { name, owner }) => {
        mayManage(call, name);
        const { root, path } = place(name);
        if ((await findEntry(root, path)) === undefined) throw faults.notFound(root.format(path));
        throw fault(
          'UserNotFound',
          { principal: owner, unresolved: true },
          'Files of datastores belong to the account that the service runs as; they have no other owners.',
        );
      },
      QueryFileLockInfo: async (call, { path: name }) => {
        mayManage(call, name);
        const { root, path } = place(name);
        if ((await findEntry(root, path)) === undefined) throw faults.notFound(root.format(path));
        return data('FileLockInfoResult', { lockInfo: (await isBusy(root, path)) ? [lockOf(core, name)] : [] });
      },
    },
  };
}

/** The lock of a file that a machine or a task has. */
function lockOf({ registry, names }: HostCore, filePath: string): FileLockInfo {
  return data('FileLockInfo', {
    filePath,
    host: String(registry.read(names.host, 'name') ?? ''),
    mac: '',
    id: filePath,
    worldName: '',
    lockMode: 'exclusive',
  });
}
