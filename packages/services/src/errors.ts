import { asFault, fault, type VimFault } from '@hypostyle/vim';

/** Every fault that this package throws for what it was given, by what happened. Paths are in datastore syntax. */
export const faults = {
  invalidPath: (path: string, reason: string): VimFault =>
    fault('InvalidDatastorePath', { datastorePath: path }, `Invalid datastore path '${path}': ${reason}.`),
  invalidDatastore: (name: string): VimFault =>
    fault('InvalidDatastore', { name }, `There is no datastore '${name}' here.`),
  notFound: (file: string): VimFault => fault('FileNotFound', { file }, `File ${file} was not found.`),
  exists: (file: string): VimFault => fault('FileAlreadyExists', { file }, `File ${file} exists already.`),
  locked: (file: string): VimFault => fault('FileLocked', { file }, `File ${file} is in use.`),
  cannotDelete: (file: string, reason: string, cause?: unknown): VimFault =>
    fault('CannotDeleteFile', { file }, `Cannot delete file ${file}: ${reason}.`, { cause }),
  cannotAccess: (file: string, reason: string, cause?: unknown): VimFault =>
    fault('CannotAccessFile', { file }, `Cannot access file ${file}: ${reason}.`, { cause }),
  cannotCreate: (file: string, reason: string, cause?: unknown): VimFault =>
    fault('CannotCreateFile', { file }, `Cannot create file ${file}: ${reason}.`, { cause }),
  notADirectory: (file: string): VimFault => fault('NotADirectory', { file }, `${file} is not a folder.`),
  notAFile: (file: string): VimFault => fault('NotAFile', { file }, `${file} is not a file.`),
  nameTooLong: (file: string): VimFault => fault('FileNameTooLong', { file }, `The name of ${file} is too long.`),
  noSpace: (file: string, datastore: string, cause?: unknown): VimFault =>
    fault('NoDiskSpace', { file, datastore }, `There is not enough space on datastore '${datastore}' for ${file}.`, {
      cause,
    }),
  invalidArgument: (invalidProperty: string, message: string): VimFault =>
    fault('InvalidArgument', { invalidProperty }, message),
  invalidState: (message: string): VimFault => fault('InvalidState', {}, message),
  canceled: (message: string): VimFault => fault('RequestCanceled', {}, message),
  timedOut: (message: string): VimFault => fault('Timedout', {}, message),
  incorrectFileType: (file: string, reason: string, cause?: unknown): VimFault =>
    fault('IncorrectFileType', { file }, `File ${file} is not of the right type: ${reason}.`, { cause }),
  notSupported: (message: string): VimFault => fault('NotSupported', {}, message),
} as const;

/** The code of an error of the operating system, such as `ENOENT`. */
export function systemCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/** An error of the file system as a fault that names the file in datastore syntax, never its path on the host. */
export function fileFault(error: unknown, file: string, datastore: string): VimFault {
  switch (systemCode(error)) {
    case undefined:
      return asFault(error);
    case 'image-failed':
      // What tools say of room is in their last words only.
      return /no space left|disk quota exceeded/i.test((error as Error).message)
        ? faults.noSpace(file, datastore, error)
        : faults.cannotAccess(file, 'copying it failed', error);
    case 'ENOENT':
      return faults.notFound(file);
    case 'EEXIST':
    case 'ENOTEMPTY':
      return faults.exists(file);
    case 'ENOSPC':
    case 'EDQUOT':
    case 'EFBIG':
      return faults.noSpace(file, datastore, error);
    case 'ENOTDIR':
      return faults.notADirectory(file);
    case 'EISDIR':
      return faults.notAFile(file);
    case 'ENAMETOOLONG':
      return faults.nameTooLong(file);
    case 'EBUSY':
    case 'ETXTBSY':
      return faults.locked(file);
    case 'ELOOP':
      return faults.invalidPath(file, 'it leads through a symbolic link');
    default:
      return faults.cannotAccess(file, systemCode(error) ?? 'it failed', error);
  }
}
