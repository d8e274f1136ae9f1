import type { Command } from 'commander';
import { type CommandContext, onServer } from '../../command-context.ts';
import { findMachine } from '../../inventory/find-object.ts';
import { answerRows } from '../../output/answer.ts';
import { formatBytes } from '../../output/format.ts';

export function defineGuestInfo(guest: Command, context: CommandContext): void {
  guest
    .command('df')
    .description('show the file systems of the guest, as its agent tells them')
    .argument('<machine>', 'name, path or id of the machine')
    .addHelpText('after', '\nExample:\n  hypo guest df web --json')
    .action(async (name: string, _options: unknown, command: Command) => {
      const rows = await onServer(command, context, async (session) => {
        const { ref } = await findMachine(session, name);
        const [found] = await session.client.retrieve(ref, ['guest']);
        return (found?.values.guest?.disk ?? []).map(({ diskPath = '', capacity, freeSpace, filesystemType = '' }) => ({
          path: diskPath,
          type: filesystemType,
          capacity: capacity === undefined ? null : Number(capacity),
          free: freeSpace === undefined ? null : Number(freeSpace),
        }));
      });
      answerRows(context, command, rows, ['PATH', 'TYPE', 'SIZE', 'FREE'], (row) => [
        row.path,
        row.type,
        row.capacity === null ? '' : formatBytes(row.capacity),
        row.free === null ? '' : formatBytes(row.free),
      ]);
    });
}
