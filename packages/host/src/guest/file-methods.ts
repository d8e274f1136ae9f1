import { randomBytes } from 'node:crypto';
import { maxGuestOutputBytes } from '@hypostyle/contracts';
import {
  actingUser,
  type Call,
  data,
  type GuestAuthentication,
  type ManagedObjectReference,
  type MethodTable,
} from '@hypostyle/vim';
import type { GuestAccess } from './guest-access.ts';
import { guestFaults } from './guest-faults.ts';
import { attributeParameters, type GuestFileFacts, parseFileFacts } from './guest-file-facts.ts';
import type { GuestOperation } from './guest-scripts.ts';
import type { GuestTransfers } from './guest-transfers.ts';
import { matchingNames } from './name-matching.ts';

const defaultResults = 50;
const maxResultsAtOnce = 1_000;
/** Files that one program of the guest describes. */
const described = 250;
const maxPath = 4_095;

interface On {
  readonly vm: ManagedObjectReference;
  readonly auth: GuestAuthentication;
}

/** GuestFileManager. */
export function fileMethods(access: GuestAccess, transfers: GuestTransfers): MethodTable<'GuestFileManager'> {
  /** Runs what changes files, and leaves an event. */
  const change = async (
    call: Call,
    { vm, auth }: On,
    operation: GuestOperation,
    parameters: readonly string[],
    said: string,
  ): Promise<Buffer> => {
    const { machine, user } = access.of(call, vm, auth);
    const [file = ''] = parameters;
    const output = await access.shell.run(machine, user, { operation, parameters, file });
    access.say(machine, actingUser(call), `${user.userName} in the guest ${said}`);
    return output;
  };

  const temporary = async (
    call: Call,
    args: On & { readonly prefix: string; readonly suffix: string; readonly directoryPath?: string | undefined },
    kind: '' | 'directory',
  ): Promise<string> => {
    const { prefix, suffix, directoryPath = '' } = args;
    if (/[/\0]/.test(prefix + suffix) || prefix.length + suffix.length > 200)
      throw guestFaults.argument('prefix', 'Prefix and suffix are part of a name: short, and with no slash.');
    const name = `${prefix}hypostyle-${randomBytes(8).toString('hex')}${suffix}`;
    const folder = directoryPath === '' ? '' : pathOf('directoryPath', directoryPath);
    const { machine, user } = access.of(call, args.vm, args.auth);
    const output = await access.shell.run(machine, user, {
      operation: 'createTemporary',
      parameters: [folder, name, kind],
      file: folder,
    });
    const path = output.toString('utf8');
    access.say(machine, actingUser(call), `${user.userName} in the guest made ${path}`);
    return path;
  };

  return {
    MakeDirectoryInGuest: async (call, { directoryPath, createParentDirectories, ...on }) => {
      const path = pathOf('directoryPath', directoryPath);
      await change(call, on, 'makeDirectory', [path, createParentDirectories ? 'parents' : ''], `made folder ${path}`);
    },
    DeleteFileInGuest: async (call, { filePath, ...on }) => {
      const path = pathOf('filePath', filePath);
      await change(call, on, 'deleteFile', [path], `deleted ${path}`);
    },
    DeleteDirectoryInGuest: async (call, { directoryPath, recursive, ...on }) => {
      const path = pathOf('directoryPath', directoryPath);
      await change(call, on, 'deleteDirectory', [path, recursive ? 'recursive' : ''], `deleted folder ${path}`);
    },
    MoveDirectoryInGuest: async (call, { srcDirectoryPath, dstDirectoryPath, ...on }) => {
      const from = pathOf('srcDirectoryPath', srcDirectoryPath);
      const to = pathOf('dstDirectoryPath', dstDirectoryPath);
      await change(call, on, 'moveDirectory', [from, to], `moved folder ${from} to ${to}`);
    },
    MoveFileInGuest: async (call, { srcFilePath, dstFilePath, overwrite, ...on }) => {
      const from = pathOf('srcFilePath', srcFilePath);
      const to = pathOf('dstFilePath', dstFilePath);
      await change(call, on, 'moveFile', [from, to, overwrite ? 'overwrite' : ''], `moved ${from} to ${to}`);
    },
    CreateTemporaryFileInGuest: (call, args) => temporary(call, args, ''),
    CreateTemporaryDirectoryInGuest: (call, args) => temporary(call, args, 'directory'),

    ListFilesInGuest: async (call, { vm, auth, filePath, index = 0, maxResults = defaultResults, matchPattern }) => {
      const path = pathOf('filePath', filePath);
      if (index < 0) throw guestFaults.argument('index', 'The index is not negative.');
      if (maxResults < 0) throw guestFaults.argument('maxResults', 'The number of results is not negative.');
      const { machine, user } = access.of(call, vm, auth);
      const output = await access.shell.run(machine, user, { operation: 'listNames', parameters: [path], file: path });
      if (output.length >= maxGuestOutputBytes)
        throw guestFaults.file(path, `${path} has too many files to be listed.`);
      const isFolder = output.toString('latin1', 0, 1) === 'd';
      const all = isFolder ? ['.', '..', ...output.toString('utf8', 1).split('\0').slice(0, -1).sort()] : [path];
      const chosen = matchPattern === undefined || matchPattern === '' ? all : await matchingNames(all, matchPattern);
      const page = chosen.slice(index, index + Math.min(maxResults, maxResultsAtOnce));
      const files = [];
      for (let at = 0; at < page.length; at += described) {
        const names = page.slice(at, at + described);
        const facts = await access.shell.run(machine, user, {
          operation: 'describeFiles',
          parameters: [isFolder ? path : '', ...names.map(asOperand)],
          file: path,
        });
        for (const [position, fact] of readDescriptions(facts, names.length).entries()) {
          // One that has just gone is not there.
          if (fact === undefined) continue;
          const { type, size, attributes } = fact;
          files.push(data('GuestFileInfo', { path: names[position] ?? '', type, size, attributes }));
        }
      }
      const remaining = Math.max(0, chosen.length - index - page.length);
      return data('GuestListFileInfo', { ...(files.length === 0 ? {} : { files }), remaining });
    },

    ChangeFileAttributesInGuest: async (call, { guestFilePath, fileAttributes, ...on }) => {
      const path = pathOf('guestFilePath', guestFilePath);
      const parameters = [path, ...attributeParameters(fileAttributes)];
      await change(call, on, 'changeAttributes', parameters, `changed attributes of ${path}`);
    },

    InitiateFileTransferFromGuest: async (call, { vm, auth, guestFilePath }) => {
      const path = pathOf('guestFilePath', guestFilePath);
      const { machine, user } = access.of(call, vm, auth);
      const output = await access.shell.run(machine, user, {
        operation: 'describeDownload',
        parameters: [path],
        file: path,
      });
      const facts = parseFileFacts(output.toString('utf8'));
      if (facts === undefined) throw guestFaults.notAccessible(path);
      const { attributes, size } = facts;
      const url = transfers.download({ machine: machine.id, userName: user.userName, path, size });
      return data('FileTransferInformation', { attributes, size, url });
    },

    InitiateFileTransferToGuest: async (call, { vm, auth, guestFilePath, fileAttributes, fileSize, overwrite }) => {
      const path = pathOf('guestFilePath', guestFilePath);
      const size = Number(fileSize);
      if (!Number.isSafeInteger(size) || size < 0)
        throw guestFaults.argument('fileSize', 'A file has a size of zero or more.');
      const { machine, user } = access.of(call, vm, auth);
      const kept = overwrite ? 'overwrite' : '';
      await access.shell.run(machine, user, { operation: 'checkUpload', parameters: [path, kept], file: path });
      return transfers.upload({
        machine: machine.id,
        userName: user.userName,
        path,
        size,
        overwrite: kept,
        attributes: attributeParameters(fileAttributes),
        acting: actingUser(call),
      });
    },
  };
}

function pathOf(name: string, path: string): string {
  if (path === '' || path.includes('\0') || Buffer.byteLength(path) > maxPath)
    throw guestFaults.argument(name, 'A path in a guest has 1 to 4,095 bytes, none of them zero.');
  // Tools take it for an option otherwise.
  return asOperand(path);
}

function asOperand(path: string): string {
  return path.startsWith('-') ? `./${path}` : path;
}

/** What `describeFiles` wrote: link targets, then facts. */
function readDescriptions(output: Buffer, count: number): (GuestFileFacts | undefined)[] {
  const parts = output.toString('utf8').split('\0');
  const lines = (parts[count] ?? '').split('\n');
  return Array.from({ length: count }, (_, index) => parseFileFacts(lines[index] ?? '', parts[index]));
}
