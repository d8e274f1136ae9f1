import { data, type FileInfo, VimFault } from '@hypostyle/vim';
import type { Command } from 'commander';
import { type CommandContext, onServer, optionsOf } from '../../command-context.ts';
import type { ServerSession } from '../../connection/server-session.ts';
import { CliError } from '../../errors.ts';
import { diskAt, type FilePlace, filePlace, listPlace } from '../../inventory/file-place.ts';
import { runTask } from '../../inventory/run-task.ts';
import { formatBytes, formatTime } from '../../output/format.ts';
import { formatTable, printable } from '../../output/table.ts';
import { print, printJson } from '../../output/terminal.ts';

interface ListOptions {
  readonly long?: boolean;
  readonly recursive?: boolean;
  readonly json?: boolean;
}

interface TransferOptions {
  readonly force?: boolean;
  readonly type?: string;
  readonly json?: boolean;
}

/** Adds the commands of files to `hypo datastore`: a disk goes with all its files. */
export function defineDatastoreFiles(datastore: Command, context: CommandContext): void {
  datastore
    .command('cp')
    .description('copy a file, a folder or a virtual disk')
    .argument('<source>', "such as '[datastore1] iso/debian.iso'")
    .argument('<target>')
    .option('-f, --force', 'take the place of what is there')
    .option('--type <type>', 'of the copy of a disk: thin, preallocated, eagerZeroedThick, sparseMonolithic …')
    .addHelpText(
      'after',
      "\nExamples:\n  hypo datastore cp '[datastore1] web/web.vmdk' '[fast] web.vmdk' --type thin\n  hypo datastore cp '[datastore1] iso' '[fast] iso'",
    )
    .action((source: string, target: string, _options: unknown, command: Command) =>
      transfer(context, command, { source, target, how: 'cp' }),
    );
  datastore
    .command('mv')
    .description('move or rename a file, a folder or a virtual disk')
    .argument('<source>')
    .argument('<target>')
    .option('-f, --force', 'take the place of what is there')
    .addHelpText('after', "\nExample:\n  hypo datastore mv '[datastore1] old.iso' '[datastore1] iso/new.iso'")
    .action((source: string, target: string, _options: unknown, command: Command) =>
      transfer(context, command, { source, target, how: 'mv' }),
    );
  datastore
    .command('rm')
    .description('delete a file, a folder with all that is in it, or a virtual disk with all its files')
    .argument('<path>')
    .option('-f, --force', 'content when there is nothing')
    .addHelpText('after', "\nExample:\n  hypo datastore rm '[datastore1] iso/old.iso'")
    .action(async (path: string, _options: unknown, command: Command) => {
      const { force, json } = optionsOf<TransferOptions>(command);
      await onServer(command, context, (session) => remove(session, context, path, force ?? false));
      tell(context, json, path, 'deleted');
    });
  datastore
    .command('mkdir')
    .description('make a folder')
    .argument('<path>')
    .option('-p, --parents', 'and those above it that are not there')
    .addHelpText('after', "\nExample:\n  hypo datastore mkdir -p '[datastore1] iso/debian'")
    .action(async (path: string, _options: unknown, command: Command) => {
      const { parents, json } = optionsOf<{ parents?: boolean; json?: boolean }>(command);
      await onServer(command, context, async (session) => {
        const { name } = await filePlace(session, path);
        const { fileManager } = session.content;
        if (fileManager === undefined) throw new CliError('failed', 'The server manages no files.');
        await session.client.call(fileManager, 'MakeDirectory', { name, createParentDirectories: parents ?? false });
      });
      tell(context, json, path, 'made');
    });
}

/** `hypo datastore ls '[datastore1] folder'`. */
export async function listFiles(session: ServerSession, context: CommandContext, path: string, options: ListOptions) {
  const results = await listPlace(session, await filePlace(session, path), { recursive: options.recursive ?? false });
  if (options.json) {
    printJson(
      context.terminal,
      results.map(({ folderPath, file = [] }) => ({ folder: folderPath, files: file.map(plainFile) })),
    );
    return;
  }
  for (const { folderPath, file = [] } of results) {
    if (options.recursive) print(context.terminal, `${printable(folderPath ?? '')}:`);
    if (options.long)
      print(
        context.terminal,
        formatTable(
          ['SIZE', 'MODIFIED', 'NAME'],
          file.map((one) => [
            one._typeName === 'FolderFileInfo' ? '-' : formatBytes(Number(one.fileSize ?? 0)),
            one.modification === undefined ? '-' : formatTime(one.modification),
            shownName(one),
          ]),
        ),
      );
    else for (const one of file) print(context.terminal, shownName(one));
  }
}

function plainFile(file: FileInfo) {
  return {
    path: file.path,
    kind: (file._typeName ?? 'FileInfo').replace(/FileInfo$/, '') || 'File',
    size: Number(file.fileSize ?? 0),
    modified: file.modification,
  };
}

function shownName({ path, _typeName }: FileInfo): string {
  return printable(_typeName === 'FolderFileInfo' ? `${path}/` : path);
}

async function transfer(
  context: CommandContext,
  command: Command,
  { source, target, how }: { readonly source: string; readonly target: string; readonly how: 'cp' | 'mv' },
): Promise<void> {
  const { force = false, type, json } = optionsOf<TransferOptions>(command);
  await onServer(command, context, async (session) => {
    const { client, content } = session;
    const from = await filePlace(session, source);
    const to = await inFolder(session, from, await filePlace(session, target));
    const disk = await diskAt(session, from);
    if (disk === undefined) {
      const { fileManager } = content;
      if (fileManager === undefined) throw new CliError('failed', 'The server manages no files.');
      if (type !== undefined) throw new CliError('usage', `${source} is no virtual disk: it has no type.`);
      const args = { sourceName: from.name, destinationName: to.name, force };
      const method = how === 'cp' ? 'CopyDatastoreFile_Task' : 'MoveDatastoreFile_Task';
      await runTask(session, context, source, () => client.call(fileManager, method, args));
      return;
    }
    const { virtualDiskManager } = content;
    if (virtualDiskManager === undefined) throw new CliError('failed', 'The server manages no virtual disks.');
    const names = { sourceName: from.name, destName: to.name, force };
    if (how === 'mv') {
      await runTask(session, context, source, () => client.call(virtualDiskManager, 'MoveVirtualDisk_Task', names));
      return;
    }
    const diskType = type ?? (disk.thin ? 'thin' : 'preallocated');
    const adapterType = /IDE/.test(disk.controllerType ?? '') ? 'ide' : 'lsiLogic';
    const destSpec = data('VirtualDiskSpec', { diskType, adapterType });
    await runTask(session, context, source, () =>
      client.call(virtualDiskManager, 'CopyVirtualDisk_Task', { ...names, destSpec }),
    );
  });
  tell(context, json, target, how === 'cp' ? 'copied' : 'moved');
}

/** What goes to a folder that is named with a slash at its end, or to the datastore itself, keeps its name. */
async function inFolder(session: ServerSession, from: FilePlace, to: FilePlace): Promise<FilePlace> {
  if (to.path !== '' && !to.name.endsWith('/')) return to;
  const name = from.path.slice(from.path.lastIndexOf('/') + 1);
  const separator = to.path === '' ? (/ $/.test(to.name) ? '' : ' ') : '';
  return await filePlace(session, `${to.name}${separator}${name}`);
}

async function remove(session: ServerSession, context: CommandContext, path: string, force: boolean): Promise<void> {
  const { client, content } = session;
  const place = await filePlace(session, path);
  const { fileManager, virtualDiskManager } = content;
  if (fileManager === undefined) throw new CliError('failed', 'The server manages no files.');
  const disk = await diskAt(session, place);
  try {
    await runTask(session, context, path, () =>
      disk === undefined || virtualDiskManager === undefined
        ? client.call(fileManager, 'DeleteDatastoreFile_Task', { name: place.name })
        : client.call(virtualDiskManager, 'DeleteVirtualDisk_Task', { name: place.name }),
    );
  } catch (error) {
    if (!(force && error instanceof VimFault && error.type === 'FileNotFound')) throw error;
  }
}

function tell(context: CommandContext, json: boolean | undefined, path: string, done: string): void {
  if (json) printJson(context.terminal, { path });
  else print(context.terminal, `${path}: ${done}`);
}
