import { data } from '@hypostyle/vim';
import type { Command } from 'commander';
import { type CommandContext, type CommandDefinition, onServer, optionsOf } from '../../command-context.ts';
import { readSecret } from '../../connection/secret.ts';
import { withName } from '../../inventory/run-task.ts';
import { answer, answerRows } from '../../output/answer.ts';
import { accountManager, findAccounts } from '../../rights/accounts.ts';

const passwordOption = '--new-password-file';

/** `hypo user`: who may sign in. */
export const defineUser: CommandDefinition = (program, context) => {
  const user = program
    .command('user')
    .description('create, list and remove users, set their passwords')
    .addHelpText(
      'after',
      '\nExamples:\n  hypo user create ann\n  hypo permission set ann ReadOnly\n  hypo user password ann',
    );
  user
    .command('ls')
    .description('list users')
    .option('--group <name>', 'those of one group')
    .addHelpText('after', '\nExamples:\n  hypo user ls\n  hypo user ls --group operators')
    .action(async (_options: unknown, command: Command) => {
      const { group } = optionsOf<{ group?: string }>(command);
      const rows = await onServer(command, context, (session) =>
        findAccounts(session, { findUsers: true, findGroups: false, ...(group ? { belongsToGroup: group } : {}) }),
      );
      answerRows(context, command, rows, ['NAME', 'DESCRIPTION'], (row) => [row.name, row.description || '-']);
    });
  user
    .command('create')
    .description('create a user; the password is asked for, or read')
    .argument('<name>')
    .option('--description <text>', 'who it is', '')
    .option(`${passwordOption} <file>`, 'file whose first line is the password; - reads standard input')
    .addHelpText(
      'after',
      '\nExamples:\n  hypo user create ann --description "Ann Example"\n  pwgen 20 1 | hypo user create robot --new-password-file -',
    )
    .action(async (name: string, _options: unknown, command: Command) => {
      const { description } = optionsOf<{ description: string }>(command);
      await onServer(command, context, async (session) => {
        const manager = accountManager(session);
        const password = await newPassword(context, name, command);
        await session.client
          .call(manager, 'CreateUser', { user: data('HostAccountSpec', { id: name, password, description }) })
          .catch((error: unknown) => {
            throw withName(name, error);
          });
      });
      answer(
        context,
        command,
        { name },
        `${name}: created. It may do nothing until 'hypo permission set ${name} ROLE'.`,
      );
    });
  user
    .command('password')
    .description('set the password of a user')
    .argument('<name>')
    .option(`${passwordOption} <file>`, 'file whose first line is the password; - reads standard input')
    .addHelpText('after', '\nExamples:\n  hypo user password ann\n  hypo user password ann --new-password-file new.txt')
    .action(async (name: string, _options: unknown, command: Command) => {
      await onServer(command, context, async (session) => {
        const manager = accountManager(session);
        const password = await newPassword(context, name, command);
        await session.client
          .call(manager, 'UpdateUser', { user: data('HostAccountSpec', { id: name, password }) })
          .catch((error: unknown) => {
            throw withName(name, error);
          });
      });
      answer(context, command, { name }, `${name}: has the new password`);
    });
  user
    .command('rm')
    .description('remove users; their sessions end')
    .argument('<names...>')
    .addHelpText('after', '\nExample:\n  hypo user rm ann')
    .action(async (names: string[], _options: unknown, command: Command) => {
      await onServer(command, context, async (session) => {
        const manager = accountManager(session);
        for (const userName of names) {
          await session.client.call(manager, 'RemoveUser', { userName }).catch((error: unknown) => {
            throw withName(userName, error);
          });
        }
      });
      answer(
        context,
        command,
        names.map((name) => ({ name })),
        names.map((name) => `${name}: removed`).join('\n'),
      );
    });
};

function newPassword(context: CommandContext, name: string, command: Command): Promise<string> {
  const { newPasswordFile: file } = optionsOf<{ newPasswordFile?: string }>(command);
  return readSecret(context, { whose: name, option: passwordOption, file, fresh: true });
}
