import {
  type BusyCheck,
  copyFile,
  deleteFile,
  findEntry,
  makeDirectory,
  moveFile,
  requirePrivilege,
} from '@hypostyle/services';
import { type Call, fault, type ManagedObjectClass, type RunningTask } from '@hypostyle/vim';
import type { HostCore } from '../host-core.ts';

interface TransferInput {
  readonly source: string;
  readonly target: string;
  readonly force: boolean;
}

/** FileManager: files and folders of datastores. What a machine that runs uses is never touched. */
export function fileManagerClass(core: HostCore, isBusy: BusyCheck): ManagedObjectClass<'FileManager'> {
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
  const move = core.tasks.define<TransferInput>('FileManager.move', {
    method: 'MoveDatastoreFile_Task',
    heavy: true,
    run: async (task, { source, target, force }) => {
      await moveFile(place(source), place(target), { force, isBusy, signal: task.signal });
      tellTransfer(task, 'DatastoreFileMovedEvent', source, target);
    },
    resume: async (task, { source, target }) => {
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
      await copyFile(place(source), place(target), { force, isBusy, signal: task.signal });
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
      try {
        await deleteFile(place(name).root, place(name).path, isBusy);
      } catch (error) {
        if ((error as { type?: string }).type !== 'FileNotFound') throw error;
      }
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
    },
  };
}
