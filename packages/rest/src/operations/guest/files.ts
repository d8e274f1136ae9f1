import { data, fault, type GuestFileAttributes } from '@hypostyle/vim';
import { Type } from '@sinclair/typebox';
import { closed, defined, oneOf, optionalBoolean } from '../../schemas/common.ts';
import type { Operation } from '../operation.ts';
import { guestPath, inGuest, long, text, time } from './guest-operation.ts';

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

/** What is made under a name that nothing has yet. */
function temporary(
  kind: 'directories' | 'files',
  method: 'CreateTemporaryDirectoryInGuest' | 'CreateTemporaryFileInGuest',
): Operation {
  return inGuest({
    id: `filesystem.${kind}.createTemporary`,
    summary: `Makes ${kind === 'files' ? 'an empty file' : 'a folder'} of a new name in the guest.`,
    path: `filesystem/${kind}`,
    action: 'createTemporary',
    body: { prefix: text(200), suffix: text(200), parent_path: Type.Optional(guestPath) },
    answer: Type.String(),
    run({ view, guest, body }) {
      const args = { ...guest.on, prefix: body.prefix, suffix: body.suffix, directoryPath: body.parent_path };
      return view.invoke('GuestFileManager', guest.files, method, defined(args));
    },
  });
}

/** Files and folders in guests, as their users have them. */
export const guestFileOperations: readonly Operation[] = [
  inGuest({
    id: 'filesystem.directories.create',
    summary: 'Makes a folder in the guest.',
    path: 'filesystem/directories',
    action: 'create',
    body: { path: guestPath, create_parents: optionalBoolean },
    async run({ view, guest, body }) {
      await view.invoke('GuestFileManager', guest.files, 'MakeDirectoryInGuest', {
        ...guest.on,
        directoryPath: body.path,
        createParentDirectories: body.create_parents ?? false,
      });
    },
  }),
  temporary('directories', 'CreateTemporaryDirectoryInGuest'),
  inGuest({
    id: 'filesystem.directories.delete',
    summary: 'Deletes a folder in the guest.',
    path: 'filesystem/directories',
    action: 'delete',
    body: { path: guestPath, recursive: optionalBoolean },
    async run({ view, guest, body }) {
      const args = { ...guest.on, directoryPath: body.path, recursive: body.recursive ?? false };
      await view.invoke('GuestFileManager', guest.files, 'DeleteDirectoryInGuest', args);
    },
  }),
  inGuest({
    id: 'filesystem.directories.move',
    summary: 'Moves a folder in the guest.',
    path: 'filesystem/directories',
    action: 'move',
    body: { path: guestPath, new_path: guestPath },
    async run({ view, guest, body }) {
      const args = { ...guest.on, srcDirectoryPath: body.path, dstDirectoryPath: body.new_path };
      await view.invoke('GuestFileManager', guest.files, 'MoveDirectoryInGuest', args);
    },
  }),
  temporary('files', 'CreateTemporaryFileInGuest'),
  inGuest({
    id: 'filesystem.files.delete',
    summary: 'Deletes a file in the guest.',
    path: 'filesystem/files',
    action: 'delete',
    body: { path: guestPath },
    async run({ view, guest, body }) {
      await view.invoke('GuestFileManager', guest.files, 'DeleteFileInGuest', { ...guest.on, filePath: body.path });
    },
  }),
  inGuest({
    id: 'filesystem.files.move',
    summary: 'Moves a file in the guest.',
    path: 'filesystem/files',
    action: 'move',
    body: { path: guestPath, new_path: guestPath, overwrite: optionalBoolean },
    async run({ view, guest, body }) {
      await view.invoke('GuestFileManager', guest.files, 'MoveFileInGuest', {
        ...guest.on,
        srcFilePath: body.path,
        dstFilePath: body.new_path,
        overwrite: body.overwrite ?? false,
      });
    },
  }),
  inGuest({
    id: 'filesystem.files.update',
    summary: 'Changes attributes of a file in the guest.',
    path: 'filesystem/files',
    action: 'update',
    body: { path: guestPath, file_attributes: attributesUpdate },
    async run({ view, guest, body }) {
      await view.invoke('GuestFileManager', guest.files, 'ChangeFileAttributesInGuest', {
        ...guest.on,
        guestFilePath: body.path,
        fileAttributes: attributesOf(body.file_attributes),
      });
    },
  }),
  inGuest({
    id: 'filesystem.files.list',
    summary: 'Files of a folder in the guest.',
    path: 'filesystem/files',
    action: 'list',
    body: {
      path: guestPath,
      iteration: Type.Optional(closed({ size: Type.Optional(long(0)), index: Type.Optional(long(0)) })),
      filter: Type.Optional(closed({ match_pattern: Type.Optional(text(1_000)) })),
    },
    answer: Type.Object({
      files: Type.Array(Type.Object({ filename: Type.String(), type: fileType, size: Type.Integer() })),
      total: Type.Integer(),
      start_index: Type.Optional(Type.Integer()),
      end_index: Type.Optional(Type.Integer()),
      status: oneOf('READY', 'END_OF_DATA'),
    }),
    async run({ view, guest, body }) {
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
  inGuest({
    id: 'filesystem.transfers.create',
    summary: 'An address at which a file of the guest is read, or with attributes written.',
    path: 'filesystem',
    action: 'create',
    created: true,
    body: {
      spec: closed({
        path: guestPath,
        attributes: Type.Optional(closed({ size: long(0), overwrite: optionalBoolean, ...updates })),
      }),
    },
    answer: Type.String(),
    async run({ view, guest, body }) {
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
