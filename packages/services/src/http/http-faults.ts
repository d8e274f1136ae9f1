import { asFault } from '@hypostyle/vim';
import { type FileResponse, plainResponse } from './http-exchange.ts';

const statuses: Readonly<Record<string, number>> = {
  InvalidDatastorePath: 400,
  InvalidArgument: 400,
  FileNameTooLong: 400,
  CannotCreateFile: 400,
  NoPermission: 403,
  FileNotFound: 404,
  InvalidDatastore: 404,
  NotSupported: 405,
  FileAlreadyExists: 409,
  NotADirectory: 409,
  NotAFile: 409,
  DirectoryNotEmpty: 409,
  InvalidState: 409,
  RequestCanceled: 409,
  Timedout: 409,
  IncorrectFileType: 422,
  FileLocked: 423,
  HostNotConnected: 503,
  NoDiskSpace: 507,
};

/** A fault as an HTTP answer: its message, and the status that fits best. */
export function faultResponse(error: unknown): FileResponse {
  const fault = asFault(error);
  return plainResponse(statuses[fault.type] ?? 500, fault.message);
}
