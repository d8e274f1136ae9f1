import type { DataTypes, GuestFileInfo } from '@hypostyle/vim';
import type { Command } from 'commander';
import { type CommandContext, optionsOf } from '../../command-context.ts';
import { type GuestSession, guestCommand, inGuest } from '../../guest/guest-session.ts';
import { answer, answerRows } from '../../output/answer.ts';

/** Files that one call lists. */
const pageSize = 500;

export function defineGuestFolders(guest: Command, context: CommandContext): void {
  defineList(guest, context);
  defineMakeDirectory(guest, context);
  defineRemove(guest, context);
  defineMove(guest, context);
  defineTemporary(guest, context);
}

function defineList(guest: Command, context: CommandContext): void {
  guestCommand(guest, 'ls', 'list the files of a folder')
    .argument('<path>', 'folder or file in the guest')
    .option('-s, --simple', 'names only')
    .option('--match <pattern>', 'those whose names this regular expression matches')
    .addHelpText('after', "\nExample:\n  hypo guest ls --login ann web /var/log --match '[.]log$'")
    .action(async (machine: string, path: string, _options: unknown, command: Command) => {
      const { simple = false, match } = optionsOf<{ simple?: boolean; match?: string }>(command);
      const rows = (await inGuest(command, context, machine, (session) => listAll(session, path, match))).map(row);
      if (simple)
        answer(
          context,
          command,
          rows.map(({ name }) => name),
          rows.map(({ name }) => name).join('\n'),
        );
      else {
        answerRows(context, command, rows, ['MODE', 'OWNER', 'GROUP', 'SIZE', 'CHANGED', 'NAME'], (each) => [
          each.mode,
          String(each.owner),
          String(each.group),
          String(each.size),
          each.changed,
          each.target === null ? each.name : `${each.name} -> ${each.target}`,
        ]);
      }
    });
}

async function listAll({ server, machine, auth, files }: GuestSession, path: string, match: string | undefined) {
  const found: GuestFileInfo[] = [];
  for (;;) {
    const { files: page = [], remaining } = await server.client.call(files, 'ListFilesInGuest', {
      vm: machine.ref,
      auth,
      filePath: path,
      index: found.length,
      maxResults: pageSize,
      ...(match === undefined ? {} : { matchPattern: match }),
    });
    found.push(...page);
    if (remaining === 0 || page.length === 0) return found;
  }
}

function row({ path, type, size, attributes }: GuestFileInfo) {
  const posix = attributes as Partial<DataTypes['GuestPosixFileAttributes']>;
  const permissions = Number(posix.permissions ?? 0);
  const kind = type === 'directory' ? 'd' : type === 'symlink' ? 'l' : '-';
  const letters = [...'rwxrwxrwx'].map((letter, index) => ((permissions >> (8 - index)) & 1 ? letter : '-'));
  return {
    name: path,
    type,
    size: Number(size),
    mode: `${kind}${letters.join('')}`,
    permissions,
    owner: posix.ownerId ?? null,
    group: posix.groupId ?? null,
    changed: attributes.modificationTime ?? '',
    target: attributes.symlinkTarget ?? null,
  };
}

function defineMakeDirectory(guest: Command, context: CommandContext): void {
  guestCommand(guest, 'mkdir', 'make a folder')
    .argument('<path>', 'folder in the guest')
    .option('-p, --parents', 'with the folders above it; one that is there is good, too')
    .addHelpText('after', '\nExample:\n  hypo guest mkdir --login ann web -p /home/ann/a/b')
    .action(async (machine: string, path: string, _options: unknown, command: Command) => {
      const { parents = false } = optionsOf<{ parents?: boolean }>(command);
      await inGuest(command, context, machine, async ({ server, machine: { ref }, auth, files }) => {
        const args = { vm: ref, auth, directoryPath: path, createParentDirectories: parents };
        await server.client.call(files, 'MakeDirectoryInGuest', args).catch((error: unknown) => {
          if (!parents || (error as { type?: string }).type !== 'FileAlreadyExists') throw error;
        });
      });
      answer(context, command, { made: path }, `${path} made`);
    });
}

function defineRemove(guest: Command, context: CommandContext): void {
  guestCommand(guest, 'rm', 'delete a file')
    .argument('<path>', 'file in the guest')
    .addHelpText('after', '\nExample:\n  hypo guest rm --login ann web /home/ann/old')
    .action(async (machine: string, path: string, _options: unknown, command: Command) => {
      await inGuest(command, context, machine, async ({ server, machine: { ref }, auth, files }) => {
        await server.client.call(files, 'DeleteFileInGuest', { vm: ref, auth, filePath: path });
      });
      answer(context, command, { deleted: path }, `${path} deleted`);
    });
  guestCommand(guest, 'rmdir', 'delete a folder')
    .argument('<path>', 'folder in the guest')
    .option('-r, --recursive', 'with all that is in it')
    .addHelpText('after', '\nExample:\n  hypo guest rmdir --login ann web -r /home/ann/a')
    .action(async (machine: string, path: string, _options: unknown, command: Command) => {
      const { recursive = false } = optionsOf<{ recursive?: boolean }>(command);
      await inGuest(command, context, machine, async ({ server, machine: { ref }, auth, files }) => {
        const args = { vm: ref, auth, directoryPath: path, recursive };
        await server.client.call(files, 'DeleteDirectoryInGuest', args);
      });
      answer(context, command, { deleted: path }, `${path} deleted`);
    });
}

function defineMove(guest: Command, context: CommandContext): void {
  guestCommand(guest, 'mv', 'move or rename a file or a folder')
    .argument('<from>', 'in the guest')
    .argument('<to>', 'in the guest')
    .option('-f, --force', 'over a file that is there')
    .addHelpText('after', '\nExample:\n  hypo guest mv --login ann web /home/ann/a /home/ann/b')
    .action(async (machine: string, from: string, to: string, _options: unknown, command: Command) => {
      const { force = false } = optionsOf<{ force?: boolean }>(command);
      await inGuest(command, context, machine, async ({ server, machine: { ref }, auth, files }) => {
        const on = { vm: ref, auth };
        try {
          const args = { ...on, srcFilePath: from, dstFilePath: to, overwrite: force };
          await server.client.call(files, 'MoveFileInGuest', args);
        } catch (error) {
          if ((error as { type?: string }).type !== 'NotAFile') throw error;
          const args = { ...on, srcDirectoryPath: from, dstDirectoryPath: to };
          await server.client.call(files, 'MoveDirectoryInGuest', args);
        }
      });
      answer(context, command, { from, to }, `${from} is ${to}`);
    });
}

function defineTemporary(guest: Command, context: CommandContext): void {
  guestCommand(guest, 'mktemp', 'make a file or a folder of a new name')
    .option('-d, --directory', 'a folder')
    .option('-p, --path <folder>', 'in this folder')
    .option('-t, --prefix <text>', 'how its name begins', '')
    .option('-s, --suffix <text>', 'how its name ends', '')
    .addHelpText('after', '\nExample:\n  hypo guest mktemp --login ann web -d')
    .action(async (machine: string, _options: unknown, command: Command) => {
      const { directory, path, prefix, suffix } = optionsOf<{
        directory?: boolean;
        path?: string;
        prefix: string;
        suffix: string;
      }>(command);
      const method = directory ? 'CreateTemporaryDirectoryInGuest' : 'CreateTemporaryFileInGuest';
      const made = await inGuest(command, context, machine, ({ server, machine: { ref }, auth, files }) =>
        server.client.call(files, method, {
          vm: ref,
          auth,
          prefix,
          suffix,
          ...(path === undefined ? {} : { directoryPath: path }),
        }),
      );
      answer(context, command, { path: made }, made);
    });
}
