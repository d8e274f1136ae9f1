import { type GuestProgramEnd, HypervisorError } from '@hypostyle/contracts';
import { fault, type VimFault } from '@hypostyle/vim';
import { exitCodes } from './guest-scripts.ts';

/** Every fault of guest operations. */
export const guestFaults = {
  unavailable: (why: string, cause?: unknown) =>
    fault('GuestOperationsUnavailable', {}, `The guest takes no operations: ${why}`, { cause }),
  notReady: (why: string) => fault('GuestOperationsUnavailable', {}, why),
  invalidLogin: () => fault('InvalidGuestLogin', {}, 'The guest does not know that user name and password.'),
  denied: (what: string) => fault('GuestPermissionDenied', {}, `The guest does not permit it: ${what}`),
  unsupported: (what: string, cause?: unknown) => fault('OperationNotSupportedByGuest', {}, what, { cause }),
  disabled: (cause: unknown) =>
    fault('OperationDisabledByGuest', {}, 'The guest agent is set up to start no programs (guest-exec).', { cause }),
  tooMany: () => fault('TooManyGuestLogons', {}, 'Too many operations are under way in the guest.'),
  noProcess: (pid: number) => fault('GuestProcessNotFound', { pid }, `The guest has no process ${pid}.`),
  notFound: (file: string) => fault('FileNotFound', { file }, `The guest has no ${file}.`),
  exists: (file: string) => fault('FileAlreadyExists', { file }, `The guest has ${file} already.`),
  notDirectory: (file: string) => fault('NotADirectory', { file }, `${file} in the guest is no folder.`),
  notFile: (file: string) => fault('NotAFile', { file }, `${file} in the guest is no file.`),
  notEmpty: (file: string) => fault('DirectoryNotEmpty', { file }, `${file} in the guest is not empty.`),
  notAccessible: (file: string) => fault('CannotAccessFile', { file }, `${file} in the guest cannot be used.`),
  file: (file: string, why: string) => fault('FileFault', { file }, why),
  argument: (name: string, why: string) => fault('InvalidArgument', { invalidProperty: name }, why),
};

/** What a driver's error means to whoever asked for a guest operation. */
export function asGuestFault(error: unknown): unknown {
  if (!(error instanceof HypervisorError)) return error;
  switch (error.code) {
    case 'guest-agent-absent':
    case 'not-running':
    case 'guest-late':
    case 'engine-lost':
      return guestFaults.unavailable(error.message, error);
    case 'guest-disabled':
      return guestFaults.disabled(error);
    case 'guest-unsupported':
    case 'guest-refused':
      return guestFaults.unsupported(`The guest's agent cannot do it: ${error.message}`, error);
    default:
      return error;
  }
}

/** What a tool of the guest said that failed (with LC_ALL=C), in the order in which it is looked for. */
const complaints: readonly (readonly [RegExp, (file: string, said: string) => VimFault])[] = [
  [/permission denied|operation not permitted|read-only file system/i, (_file, said) => guestFaults.denied(said)],
  [/no such file/i, (file) => guestFaults.notFound(file)],
  [/file exists/i, (file) => guestFaults.exists(file)],
  [/directory not empty/i, (file) => guestFaults.notEmpty(file)],
  [/not a directory/i, (file) => guestFaults.notDirectory(file)],
  [/is a directory/i, (file) => guestFaults.notFile(file)],
];

/** The fault of an operation that ended badly. `file`: what it was about, a file or a process. */
export function endFault(end: GuestProgramEnd, file: string): VimFault {
  switch (end.exitCode) {
    case exitCodes.notFound:
      return guestFaults.notFound(file);
    case exitCodes.exists:
      return guestFaults.exists(file);
    case exitCodes.notDirectory:
      return guestFaults.notDirectory(file);
    case exitCodes.notFile:
      return guestFaults.notFile(file);
    case exitCodes.denied:
      return guestFaults.denied(file);
    case exitCodes.notEmpty:
      return guestFaults.notEmpty(file);
    case exitCodes.noProcess:
      return guestFaults.noProcess(Number(file));
    case exitCodes.symbolicLink:
      return guestFaults.argument('guestFilePath', `${file} in the guest is a symbolic link.`);
    case exitCodes.invalidLogin:
      return guestFaults.invalidLogin();
    case exitCodes.cannotCheck:
      return guestFaults.unsupported('The guest has nothing that checks its passwords (PAM, openssl or busybox).');
  }
  const said = end.errors
    .toString('utf8')
    .replace(/[\0-\x1f\x7f-\x9f]+/g, ' ')
    .trim()
    .slice(-500);
  for (const [pattern, make] of complaints) if (pattern.test(said)) return make(file, said);
  const how = end.signal === undefined ? `code ${end.exitCode}` : `signal ${end.signal}`;
  return guestFaults.unsupported(`A program of the guest failed (${how})${said === '' ? '' : `: ${said}`}.`);
}
