import { createReadStream } from 'node:fs';
import { rm, stat } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { data } from '@hypostyle/vim';
import type { Command } from 'commander';
import { type CommandContext, optionsOf } from '../../command-context.ts';
import { CliError } from '../../errors.ts';
import { guestCommand, inGuest } from '../../guest/guest-session.ts';
import { downloadFromGuest, uploadToGuest } from '../../guest/guest-transfer.ts';
import { answer } from '../../output/answer.ts';
import { newFile } from '../../output/new-file.ts';

/** Most bytes that are taken from the standard input: their number is told before the first of them. */
const maxPiped = 64 << 20;

export function defineGuestFiles(guest: Command, context: CommandContext): void {
  defineUpload(guest, context);
  defineDownload(guest, context);
  defineAttributes(guest, context);
}

function defineUpload(guest: Command, context: CommandContext): void {
  guestCommand(guest, 'upload', 'put a file into the guest')
    .argument('<source>', 'file here, - for the standard input')
    .argument('<path>', 'file in the guest')
    .option('-f, --force', 'over a file that is there')
    .option('--perm <mode>', 'permissions in octal, such as 0755')
    .addHelpText('after', '\nExample:\n  hypo guest upload --login ann web site.tar /home/ann/site.tar')
    .action(async (machine: string, source: string, path: string, _options: unknown, command: Command) => {
      const { force = false, perm } = optionsOf<{ force?: boolean; perm?: string }>(command);
      const attributes = data('GuestPosixFileAttributes', perm === undefined ? {} : { permissions: octal(perm) });
      const { size, content } = await opened(source, context);
      await inGuest(command, context, machine, (session) =>
        uploadToGuest(session, {
          path,
          size,
          content: content(),
          overwrite: force,
          attributes,
          signal: context.signal,
        }),
      );
      answer(context, command, { path, bytes: size }, `${path}: ${size} bytes`);
    });
}

async function opened(
  source: string,
  { terminal }: CommandContext,
): Promise<{ size: number; content: () => Readable }> {
  if (source !== '-') {
    const facts = await stat(source).catch((cause: unknown) => {
      throw new CliError('usage', `${source} cannot be read: ${(cause as Error).message}.`, { cause });
    });
    if (!facts.isFile()) throw new CliError('usage', `${source} is no file.`);
    return { size: facts.size, content: () => createReadStream(source, { end: Math.max(0, facts.size - 1) }) };
  }
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of terminal.input as AsyncIterable<Buffer | string>) {
    const bytes = Buffer.from(part);
    size += bytes.length;
    if (size > maxPiped) throw new CliError('usage', `More than ${maxPiped} bytes come from a file, not from a pipe.`);
    parts.push(bytes);
  }
  return { size, content: () => Readable.from(parts) };
}

function defineDownload(guest: Command, context: CommandContext): void {
  guestCommand(guest, 'download', 'get a file out of the guest')
    .argument('<path>', 'file in the guest')
    .argument('[destination]', 'file here; the standard output unless told')
    .option('-f, --force', 'over a file that is there')
    .addHelpText(
      'after',
      '\nExamples:\n  hypo guest download --login ann web /etc/hosts\n  hypo guest download --login ann web /home/ann/x.tar x.tar',
    )
    .action(
      async (machine: string, path: string, destination: string | undefined, _options: unknown, command: Command) => {
        const { force = false } = optionsOf<{ force?: boolean }>(command);
        const { signal, terminal } = context;
        const toTerminal = destination === undefined || destination === '-';
        const bytes = await inGuest(command, context, machine, async (session) => {
          if (toTerminal) return downloadFromGuest(session, { path, to: terminal.output as never, signal, end: false });
          const to = await newFile(destination, force);
          try {
            return await downloadFromGuest(session, { path, to, signal });
          } catch (error) {
            await rm(destination, { force: true });
            throw error;
          }
        });
        if (!toTerminal) answer(context, command, { path, destination, bytes }, `${destination}: ${bytes} bytes`);
      },
    );
}

function defineAttributes(guest: Command, context: CommandContext): void {
  guestCommand(guest, 'chmod', 'change the permissions of a file')
    .argument('<mode>', 'in octal, such as 0755')
    .argument('<path>', 'file in the guest')
    .addHelpText('after', '\nExample:\n  hypo guest chmod --login ann web 0755 /home/ann/run')
    .action(async (machine: string, mode: string, path: string, _options: unknown, command: Command) => {
      await change(context, command, machine, path, { permissions: octal(mode) });
    });
  guestCommand(guest, 'chown', 'change the owner of a file')
    .argument('<owner>', 'number of the user, and of the group after a colon: 1000:100')
    .argument('<path>', 'file in the guest')
    .addHelpText('after', '\nExample:\n  hypo guest chown --login root web 1000:1000 /home/ann/run')
    .action(async (machine: string, owner: string, path: string, _options: unknown, command: Command) => {
      const [, user, group] = /^(\d{1,9})?(?::(\d{1,9}))?$/.exec(owner) ?? [];
      if (user === undefined && group === undefined)
        throw new CliError('usage', `'${owner}' is no number of a user or group.`);
      await change(context, command, machine, path, {
        ...(user === undefined ? {} : { ownerId: Number(user) }),
        ...(group === undefined ? {} : { groupId: Number(group) }),
      });
    });
  guestCommand(guest, 'touch', 'change the times of a file')
    .argument('<path>', 'file in the guest')
    .option('-d, --date <time>', 'ISO 8601; now unless told')
    .addHelpText('after', '\nExample:\n  hypo guest touch --login ann web -d 2020-01-01T00:00:00Z /home/ann/x')
    .action(async (machine: string, path: string, _options: unknown, command: Command) => {
      const { date } = optionsOf<{ date?: string }>(command);
      const time = date === undefined ? new Date() : new Date(date);
      if (Number.isNaN(time.getTime())) throw new CliError('usage', `'${date}' is no time.`);
      await change(context, command, machine, path, {
        modificationTime: time.toISOString(),
        accessTime: time.toISOString(),
      });
    });
}

async function change(
  context: CommandContext,
  command: Command,
  machine: string,
  path: string,
  attributes: Parameters<typeof data<'GuestPosixFileAttributes'>>[1],
): Promise<void> {
  await inGuest(command, context, machine, async ({ server, machine: { ref }, auth, files }) => {
    const fileAttributes = data('GuestPosixFileAttributes', attributes);
    const args = { vm: ref, auth, guestFilePath: path, fileAttributes };
    await server.client.call(files, 'ChangeFileAttributesInGuest', args);
  });
  answer(context, command, { path, ...attributes }, `${path} changed`);
}

function octal(text: string): number {
  if (/^[0-7]{1,5}$/.test(text)) return Number.parseInt(text, 8);
  throw new CliError('usage', `'${text}' is no mode in octal.`);
}
