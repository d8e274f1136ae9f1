import {
  data,
  fault,
  type GuestAuthentication,
  type GuestFileAttributes,
  type ManagedObjectReference,
} from '@hypostyle/vim';
import { type TSchema, Type } from '@sinclair/typebox';
import { type CenterView, read } from '../calls/center-view.ts';
import { AutomationError, invalidArgument, notFound } from '../errors.ts';
import { Machine } from '../machine/machine-reader.ts';
import { closed, defined, oneOf, optionalBoolean } from '../schemas/common.ts';
import { type Operation, operation } from './operation.ts';

const text = (most: number) => Type.String({ maxLength: most });
const path = text(4_096);
const long = (minimum: number) => Type.Integer({ minimum, maximum: Number.MAX_SAFE_INTEGER });
const time = Type.String({ format: 'date-time', maxLength: 64 });

const credentials = closed({
  interactive_session: Type.Boolean(),
  type: oneOf('USERNAME_PASSWORD', 'SAML_BEARER_TOKEN'),
  user_name: Type.Optional(text(256)),
  password: Type.Optional(text(1_024)),
  saml_token: Type.Optional(text(65_536)),
});
type Credentials = (typeof credentials)['static'];

/** A body with who acts in the guest. */
const as = <P extends Record<string, TSchema>>(properties: P) => closed({ credentials, ...properties });

const posix = closed({
  owner_id: Type.Optional(Type.Integer({ minimum: 0, maximum: 2 ** 31 - 1 })),
  group_id: Type.Optional(Type.Integer({ minimum: 0, maximum: 2 ** 31 - 1 })),
  /** In octal, as people write it. */
  permissions: Type.Optional(Type.String({ pattern: '^[0-7]{1,5}$' })),
});
const windows = closed({ hidden: optionalBoolean, read_only: optionalBoolean });
const updates = {
  last_modified: Type.Optional(time),
  last_accessed: Type.Optional(time),
  posix: Type.Optional(posix),
  windows: Type.Optional(windows),
};
const attributesUpdate = closed(updates);
type AttributesUpdate = (typeof attributesUpdate)['static'];

const kinds = { file: 'FILE', directory: 'DIRECTORY', symlink: 'SYMLINK' } as const;
const fileType = oneOf('FILE', 'DIRECTORY', 'SYMLINK');
const processInfo = Type.Object({
  name: Type.String(),
  owner: Type.String(),
  command: Type.String(),
  started: time,
  finished: Type.Optional(time),
  exit_code: Type.Optional(Type.Integer()),
});
const processSummary = Type.Object({
  name: Type.String(),
  pid: Type.Integer(),
  owner: Type.String(),
  command: Type.String(),
  started: time,
  finished: Type.Optional(time),
  exit_code: Type.Optional(Type.Integer()),
});

/** One guest, and who acts in it. */
class Guest {
  readonly vm: ManagedObjectReference<'VirtualMachine'>;
  readonly auth: GuestAuthentication;
  readonly #view: CenterView;

  constructor(view: CenterView, vm: string, given: Credentials) {
    this.#view = view;
    this.vm = new Machine(view, vm).object.ref as ManagedObjectReference<'VirtualMachine'>;
    this.auth = authentication(given);
  }

  get on(): { readonly vm: ManagedObjectReference<'VirtualMachine'>; readonly auth: GuestAuthentication } {
    return { vm: this.vm, auth: this.auth };
  }

  get files(): ManagedObjectReference<'GuestFileManager'> {
    return this.#part('fileManager') as ManagedObjectReference<'GuestFileManager'>;
  }

  get processes(): ManagedObjectReference<'GuestProcessManager'> {
    return this.#part('processManager') as ManagedObjectReference<'GuestProcessManager'>;
  }

  #part(name: 'fileManager' | 'processManager'): ManagedObjectReference {
    const [manager] = this.#view.registry.all('GuestOperationsManager');
    const ref = read('GuestOperationsManager', manager && this.#view.registry.get(manager.ref), name);
    if (ref === undefined) throw new AutomationError('unsupported', 'Nothing is done in guests here.');
    return ref;
  }
}

function authentication({ type, interactive_session, user_name, password, saml_token }: Credentials) {
  if (type === 'SAML_BEARER_TOKEN') {
    if (saml_token === undefined) throw invalidArgument('A SAML_BEARER_TOKEN needs saml_token.');
    return data(
      'SAMLTokenAuthentication',
      defined({ interactiveSession: interactive_session, token: saml_token, username: user_name }),
    );
  }
  if (user_name === undefined || password === undefined)
    throw invalidArgument('USERNAME_PASSWORD needs user_name and password.');
  return data('NamePasswordAuthentication', { interactiveSession: interactive_session, username: user_name, password });
}

function attributesOf(given: AttributesUpdate): GuestFileAttributes {
  if (given.windows !== undefined) throw fault('OperationNotSupportedByGuest', {}, 'The guest has no such attributes.');
  const { owner_id, group_id, permissions } = given.posix ?? {};
  return data(
    'GuestPosixFileAttributes',
    defined({
      modificationTime: given.last_modified,
      accessTime: given.last_accessed,
      ownerId: owner_id,
      groupId: group_id,
      permissions: permissions === undefined ? undefined : Number.parseInt(permissions, 8),
    }),
  );
}

async function processesOf(view: CenterView, guest: Guest, pids: readonly number[]) {
  const args = { ...guest.on, ...(pids.length === 0 ? {} : { pids }) };
  const found = await view.invoke('GuestProcessManager', guest.processes, 'ListProcessesInGuest', args);
  return (found ?? []).map((info) =>
    defined({
      name: info.name,
      pid: Number(info.pid),
      owner: info.owner,
      command: info.cmdLine,
      started: info.startTime,
      finished: info.endTime,
      exit_code: info.exitCode,
    }),
  );
}

const processOperations: readonly Operation[] = [
  operation({
    id: 'vcenter.vm.guest.processes.create',
    summary: 'Starts a program in the guest.',
    method: 'POST',
    path: '/vcenter/vm/{vm}/guest/processes',
    action: 'create',
    rest: { wrap: null },
    created: true,
    body: as({
      spec: closed({
        path,
        arguments: Type.Optional(text(65_536)),
        working_directory: Type.Optional(path),
        environment_variables: Type.Optional(Type.Record(text(1_024), text(65_536))),
        start_minimized: optionalBoolean,
      }),
    }),
    answer: Type.Integer(),
    async run({ view, path: { vm }, body }) {
      const guest = new Guest(view, vm, body.credentials);
      const { spec } = body;
      const variables = Object.entries(spec.environment_variables ?? {}).map(([name, value]) => `${name}=${value}`);
      const program = data(
        'GuestProgramSpec',
        defined({
          programPath: spec.path,
          arguments: spec.arguments ?? '',
          workingDirectory: spec.working_directory,
          envVariables: variables.length === 0 ? undefined : variables,
        }),
      );
      const args = { ...guest.on, spec: program };
      return Number(await view.invoke('GuestProcessManager', guest.processes, 'StartProgramInGuest', args));
    },
  }),
  operation({
    id: 'vcenter.vm.guest.processes.list',
    summary: 'Processes of the guest, and programs started here that ended lately.',
    method: 'POST',
    path: '/vcenter/vm/{vm}/guest/processes',
    action: 'list',
    rest: { wrap: null },
    body: as({}),
    answer: Type.Array(processSummary),
    run: ({ view, path: { vm }, body }) => processesOf(view, new Guest(view, vm, body.credentials), []),
  }),
  operation({
    id: 'vcenter.vm.guest.processes.get',
    summary: 'One process of the guest.',
    method: 'POST',
    path: '/vcenter/vm/{vm}/guest/processes/{pid}',
    action: 'get',
    rest: { wrap: null },
    body: as({}),
    answer: processInfo,
    async run({ view, path: { vm, pid }, body }) {
      const guest = new Guest(view, vm, body.credentials);
      const [found] = await processesOf(view, guest, [processNumber(pid)]);
      if (found === undefined) throw notFound('Process', pid);
      const { pid: _pid, ...info } = found;
      return info;
    },
  }),
  operation({
    id: 'vcenter.vm.guest.processes.delete',
    summary: 'Ends a process of the guest.',
    method: 'POST',
    path: '/vcenter/vm/{vm}/guest/processes/{pid}',
    action: 'delete',
    rest: { wrap: null },
    body: as({}),
    async run({ view, path: { vm, pid }, body }) {
      const guest = new Guest(view, vm, body.credentials);
      const args = { ...guest.on, pid: processNumber(pid) };
      await view.invoke('GuestProcessManager', guest.processes, 'TerminateProcessInGuest', args);
    },
  }),
  operation({
    id: 'vcenter.vm.guest.environment.list',
    summary: 'Variables that programs of the guest get.',
    method: 'POST',
    path: '/vcenter/vm/{vm}/guest/environment',
    action: 'list',
    rest: { wrap: null },
    body: as({ names: Type.Optional(Type.Array(text(1_024), { maxItems: 1_000 })) }),
    answer: Type.Record(Type.String(), Type.String()),
    run: ({ view, path: { vm }, body }) => variablesOf(view, new Guest(view, vm, body.credentials), body.names ?? []),
  }),
  operation({
    id: 'vcenter.vm.guest.environment.get',
    summary: 'One variable that programs of the guest get.',
    method: 'POST',
    path: '/vcenter/vm/{vm}/guest/environment/{name}',
    action: 'get',
    rest: { wrap: null },
    body: as({}),
    answer: Type.String(),
    async run({ view, path: { vm, name }, body }) {
      const found = (await variablesOf(view, new Guest(view, vm, body.credentials), [name]))[name];
      if (found === undefined) throw notFound('Variable', name);
      return found;
    },
  }),
];

async function variablesOf(view: CenterView, guest: Guest, names: readonly string[]): Promise<Record<string, string>> {
  const args = { ...guest.on, ...(names.length === 0 ? {} : { names }) };
  const found = await view.invoke('GuestProcessManager', guest.processes, 'ReadEnvironmentVariableInGuest', args);
  return Object.fromEntries(
    (found ?? []).map((variable) => {
      const equals = variable.indexOf('=');
      return [variable.slice(0, equals), variable.slice(equals + 1)];
    }),
  );
}

function processNumber(pid: string): number {
  if (!/^[1-9]\d{0,14}$/.test(pid)) throw notFound('Process', pid);
  return Number(pid);
}

const folderOperations: readonly Operation[] = [
  operation({
    id: 'vcenter.vm.guest.filesystem.directories.create',
    summary: 'Makes a folder in the guest.',
    method: 'POST',
    path: '/vcenter/vm/{vm}/guest/filesystem/directories',
    action: 'create',
    rest: { wrap: null },
    body: as({ path, create_parents: optionalBoolean }),
    async run({ view, path: { vm }, body }) {
      const guest = new Guest(view, vm, body.credentials);
      await view.invoke('GuestFileManager', guest.files, 'MakeDirectoryInGuest', {
        ...guest.on,
        directoryPath: body.path,
        createParentDirectories: body.create_parents ?? false,
      });
    },
  }),
  operation({
    id: 'vcenter.vm.guest.filesystem.directories.createTemporary',
    summary: 'Makes a folder of a new name in the guest.',
    method: 'POST',
    path: '/vcenter/vm/{vm}/guest/filesystem/directories',
    action: 'createTemporary',
    rest: { wrap: null },
    body: as({ prefix: text(200), suffix: text(200), parent_path: Type.Optional(path) }),
    answer: Type.String(),
    run({ view, path: { vm }, body }) {
      const guest = new Guest(view, vm, body.credentials);
      const args = { ...guest.on, prefix: body.prefix, suffix: body.suffix, directoryPath: body.parent_path };
      return view.invoke('GuestFileManager', guest.files, 'CreateTemporaryDirectoryInGuest', defined(args));
    },
  }),
  operation({
    id: 'vcenter.vm.guest.filesystem.directories.delete',
    summary: 'Deletes a folder in the guest.',
    method: 'POST',
    path: '/vcenter/vm/{vm}/guest/filesystem/directories',
    action: 'delete',
    rest: { wrap: null },
    body: as({ path, recursive: optionalBoolean }),
    async run({ view, path: { vm }, body }) {
      const guest = new Guest(view, vm, body.credentials);
      const args = { ...guest.on, directoryPath: body.path, recursive: body.recursive ?? false };
      await view.invoke('GuestFileManager', guest.files, 'DeleteDirectoryInGuest', args);
    },
  }),
  operation({
    id: 'vcenter.vm.guest.filesystem.directories.move',
    summary: 'Moves a folder in the guest.',
    method: 'POST',
    path: '/vcenter/vm/{vm}/guest/filesystem/directories',
    action: 'move',
    rest: { wrap: null },
    body: as({ path, new_path: path }),
    async run({ view, path: { vm }, body }) {
      const guest = new Guest(view, vm, body.credentials);
      const args = { ...guest.on, srcDirectoryPath: body.path, dstDirectoryPath: body.new_path };
      await view.invoke('GuestFileManager', guest.files, 'MoveDirectoryInGuest', args);
    },
  }),
];

const fileOperations: readonly Operation[] = [
  operation({
    id: 'vcenter.vm.guest.filesystem.files.createTemporary',
    summary: 'Makes an empty file of a new name in the guest.',
    method: 'POST',
    path: '/vcenter/vm/{vm}/guest/filesystem/files',
    action: 'createTemporary',
    rest: { wrap: null },
    body: as({ prefix: text(200), suffix: text(200), parent_path: Type.Optional(path) }),
    answer: Type.String(),
    run({ view, path: { vm }, body }) {
      const guest = new Guest(view, vm, body.credentials);
      const args = { ...guest.on, prefix: body.prefix, suffix: body.suffix, directoryPath: body.parent_path };
      return view.invoke('GuestFileManager', guest.files, 'CreateTemporaryFileInGuest', defined(args));
    },
  }),
  operation({
    id: 'vcenter.vm.guest.filesystem.files.delete',
    summary: 'Deletes a file in the guest.',
    method: 'POST',
    path: '/vcenter/vm/{vm}/guest/filesystem/files',
    action: 'delete',
    rest: { wrap: null },
    body: as({ path }),
    async run({ view, path: { vm }, body }) {
      const guest = new Guest(view, vm, body.credentials);
      await view.invoke('GuestFileManager', guest.files, 'DeleteFileInGuest', { ...guest.on, filePath: body.path });
    },
  }),
  operation({
    id: 'vcenter.vm.guest.filesystem.files.move',
    summary: 'Moves a file in the guest.',
    method: 'POST',
    path: '/vcenter/vm/{vm}/guest/filesystem/files',
    action: 'move',
    rest: { wrap: null },
    body: as({ path, new_path: path, overwrite: optionalBoolean }),
    async run({ view, path: { vm }, body }) {
      const guest = new Guest(view, vm, body.credentials);
      await view.invoke('GuestFileManager', guest.files, 'MoveFileInGuest', {
        ...guest.on,
        srcFilePath: body.path,
        dstFilePath: body.new_path,
        overwrite: body.overwrite ?? false,
      });
    },
  }),
  operation({
    id: 'vcenter.vm.guest.filesystem.files.update',
    summary: 'Changes attributes of a file in the guest.',
    method: 'POST',
    path: '/vcenter/vm/{vm}/guest/filesystem/files',
    action: 'update',
    rest: { wrap: null },
    body: as({ path, file_attributes: attributesUpdate }),
    async run({ view, path: { vm }, body }) {
      const guest = new Guest(view, vm, body.credentials);
      await view.invoke('GuestFileManager', guest.files, 'ChangeFileAttributesInGuest', {
        ...guest.on,
        guestFilePath: body.path,
        fileAttributes: attributesOf(body.file_attributes),
      });
    },
  }),
  operation({
    id: 'vcenter.vm.guest.filesystem.files.list',
    summary: 'Files of a folder in the guest.',
    method: 'POST',
    path: '/vcenter/vm/{vm}/guest/filesystem/files',
    action: 'list',
    rest: { wrap: null },
    body: as({
      path,
      iteration: Type.Optional(closed({ size: Type.Optional(long(0)), index: Type.Optional(long(0)) })),
      filter: Type.Optional(closed({ match_pattern: Type.Optional(text(1_000)) })),
    }),
    answer: Type.Object({
      files: Type.Array(Type.Object({ filename: Type.String(), type: fileType, size: Type.Integer() })),
      total: Type.Integer(),
      start_index: Type.Optional(Type.Integer()),
      end_index: Type.Optional(Type.Integer()),
      status: oneOf('READY', 'END_OF_DATA'),
    }),
    async run({ view, path: { vm }, body }) {
      const guest = new Guest(view, vm, body.credentials);
      const index = Math.min(body.iteration?.index ?? 0, 2 ** 31 - 1);
      const maxResults = body.iteration?.size;
      const { files = [], remaining } = await view.invoke(
        'GuestFileManager',
        guest.files,
        'ListFilesInGuest',
        defined({
          ...guest.on,
          filePath: body.path,
          index,
          maxResults: maxResults === undefined ? undefined : Math.min(maxResults, 2 ** 31 - 1),
          matchPattern: body.filter?.match_pattern,
        }),
      );
      return {
        files: files.map(({ path: filename, type, size }) => ({
          filename,
          type: kinds[type as keyof typeof kinds] ?? ('FILE' as const),
          size: Number(size),
        })),
        total: index + files.length + remaining,
        ...(files.length === 0 ? {} : { start_index: index, end_index: index + files.length - 1 }),
        status: remaining > 0 ? ('READY' as const) : ('END_OF_DATA' as const),
      };
    },
  }),
  operation({
    id: 'vcenter.vm.guest.filesystem.transfers.create',
    summary: 'An address at which a file of the guest is read, or with attributes written.',
    method: 'POST',
    path: '/vcenter/vm/{vm}/guest/filesystem',
    action: 'create',
    rest: { wrap: null },
    created: true,
    body: as({
      spec: closed({
        path,
        attributes: Type.Optional(closed({ size: long(0), overwrite: optionalBoolean, ...updates })),
      }),
    }),
    answer: Type.String(),
    async run({ view, path: { vm }, body }) {
      const guest = new Guest(view, vm, body.credentials);
      const { path: guestFilePath, attributes } = body.spec;
      if (attributes === undefined) {
        const args = { ...guest.on, guestFilePath };
        return (await view.invoke('GuestFileManager', guest.files, 'InitiateFileTransferFromGuest', args)).url;
      }
      const { size, overwrite = false, ...rest } = attributes;
      return view.invoke('GuestFileManager', guest.files, 'InitiateFileTransferToGuest', {
        ...guest.on,
        guestFilePath,
        fileAttributes: attributesOf(rest),
        fileSize: size,
        overwrite,
      });
    },
  }),
];

/** Programs and files in guests, as their users do with them. */
export const guestWorkOperations: readonly Operation[] = [...processOperations, ...folderOperations, ...fileOperations];
