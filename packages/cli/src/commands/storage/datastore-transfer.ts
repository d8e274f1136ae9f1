import { createReadStream } from 'node:fs';
import { rm, stat } from 'node:fs/promises';
import type { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Command } from 'commander';
import { type CommandContext, onServer, optionsOf } from '../../command-context.ts';
import type { ServerSession } from '../../connection/server-session.ts';
import { CliError } from '../../errors.ts';
import { loadInventory } from '../../inventory/load-inventory.ts';
import { type DatastoreFile, parseDatastorePath, readRemote, writeRemote } from '../../logs/remote-file.ts';
import { answer } from '../../output/answer.ts';
import { newFile } from '../../output/new-file.ts';
import { showProgress } from '../../output/progress.ts';

/** `hypo datastore upload` and `download`: files between here and a datastore. */
export function defineDatastoreTransfer(datastore: Command, context: CommandContext): void {
  datastore
    .command('upload')
    .description('put a file on a datastore; folders that are not there are made')
    .argument('<file>', 'file here, - for the standard input')
    .argument('<path>', "such as '[datastore1] iso/debian.iso'")
    .option('-f, --force', 'take the place of a file that is there')
    .addHelpText(
      'after',
      "\nExamples:\n  hypo datastore upload debian.iso '[datastore1] iso/debian.iso'\n  xz -dc disk.xz | hypo datastore upload - '[datastore1] images/disk.raw'",
    )
    .action(async (source: string, path: string, _options: unknown, command: Command) => {
      const { force = false } = optionsOf<{ force?: boolean }>(command);
      const size = source === '-' ? undefined : await sizeOf(source);
      let bytes = 0;
      await onServer(command, context, async (session) => {
        const target = await fileNamed(session, path);
        const bar = showProgress(context.terminal, path, size ?? 0, 'bytes');
        async function* content(): AsyncGenerator<Buffer> {
          const input: Readable = source === '-' ? context.terminal.input : createReadStream(source);
          for await (const part of input as AsyncIterable<Buffer | string>) {
            const chunk = Buffer.from(part);
            bytes += chunk.length;
            bar.update(bytes);
            yield chunk;
          }
        }
        try {
          await writeRemote(session, target, { content: content(), size, overwrite: force, signal: context.signal });
        } finally {
          bar.end();
        }
      });
      answer(context, command, { path, bytes }, `${path}: ${bytes} bytes`);
    });
  datastore
    .command('download')
    .description('get a file of a datastore; of a disk, X-flat.vmdk is its bytes whatever its kind')
    .argument('<path>', "such as '[datastore1] web/web.vmx'")
    .argument('[file]', 'file here; the standard output unless told')
    .option('-f, --force', 'over a file that is there')
    .addHelpText(
      'after',
      "\nExamples:\n  hypo datastore download '[datastore1] web/web.vmx'\n  hypo datastore download '[datastore1] web/web-flat.vmdk' web.raw",
    )
    .action(async (path: string, file: string | undefined, _options: unknown, command: Command) => {
      const { force = false } = optionsOf<{ force?: boolean }>(command);
      const here = file === undefined || file === '-' ? undefined : file;
      const bytes = await onServer(command, context, (session) =>
        here === undefined
          ? download(session, context, path, context.terminal.output, { end: false })
          : downloadTo(session, context, { path, file: here, force }),
      );
      if (here !== undefined) answer(context, command, { path, file: here, bytes }, `${here}: ${bytes} bytes`);
    });
}

async function sizeOf(source: string): Promise<number> {
  const facts = await stat(source).catch((cause: unknown) => {
    throw new CliError('usage', `${source} cannot be read: ${(cause as Error).message}.`, { cause });
  });
  if (!facts.isFile()) throw new CliError('usage', `${source} is no file.`);
  return facts.size;
}

async function fileNamed(session: ServerSession, text: string): Promise<DatastoreFile> {
  if (!/^\[[^\]]+\] ?./.test(text))
    throw new CliError('usage', `'${text}' is no file on a datastore.`, {
      next: "Name it as '[datastore1] folder/file'.",
    });
  const { datastore, path } = parseDatastorePath(text);
  const inventory = await loadInventory(session);
  const found = inventory.find('Datastore', datastore);
  return { datastore: found.name, path, datacenter: inventory.within(found, 'Datacenter')?.name ?? '' };
}

async function downloadTo(
  session: ServerSession,
  context: CommandContext,
  { path, file, force }: { readonly path: string; readonly file: string; readonly force: boolean },
): Promise<number> {
  const to = await newFile(file, force);
  try {
    return await download(session, context, path, to, { end: true });
  } catch (error) {
    to.destroy();
    // What is cut off is of no use to anybody.
    await rm(file, { force: true });
    throw error;
  }
}

async function download(
  session: ServerSession,
  { terminal, signal }: CommandContext,
  path: string,
  to: Writable,
  { end }: { readonly end: boolean },
): Promise<number> {
  const found = await readRemote(session, await fileNamed(session, path), 0, signal);
  if (found === undefined)
    throw new CliError('not-found', `${path} is not there, or is a folder.`, {
      next: `See: hypo datastore ls '${path.replace(/[^/\]]*$/, '').trimEnd()}'`,
    });
  const bar = end ? showProgress(terminal, path, found.size, 'bytes') : undefined;
  let bytes = 0;
  async function* counted(content: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const part of content) {
      bytes += part.length;
      bar?.update(bytes);
      yield part;
    }
  }
  try {
    await pipeline(counted(found.content), to, { end });
  } finally {
    bar?.end();
  }
  if (bytes !== found.size) throw new CliError('failed', `${path} ended early, after ${bytes} of ${found.size} bytes.`);
  return bytes;
}
