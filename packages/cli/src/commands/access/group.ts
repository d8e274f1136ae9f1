import { data } from '@hypostyle/vim';
import type { Command } from 'commander';
import { type CommandDefinition, onServer, optionsOf } from '../../command-context.ts';
import { withName } from '../../inventory/run-task.ts';
import { answer, answerRows } from '../../output/answer.ts';
import { accountManager, findAccounts } from '../../rights/accounts.ts';

/** `hypo group`: users who have rights together. */
export const defineGroup: CommandDefinition = (program, context) => {
  const group = program
    .command('group')
    .description('create, list and remove groups of users')
    .addHelpText(
      'after',
      '\nExamples:\n  hypo group create operators\n  hypo group add operators ann bob\n  hypo permission set operators Admin --group',
    );
  group
    .command('ls')
    .description('list groups and who is in them')
    .addHelpText('after', '\nExample:\n  hypo group ls --json')
    .action(async (_options: unknown, command: Command) => {
      const rows = await onServer(command, context, async (session) => {
        const groups = await findAccounts(session, { findUsers: false, findGroups: true });
        return Promise.all(
          groups.map(async ({ name, description }) => {
            const search = { findUsers: true, findGroups: false, belongsToGroup: name };
            return { name, description, users: (await findAccounts(session, search)).map((user) => user.name) };
          }),
        );
      });
      answerRows(context, command, rows, ['NAME', 'USERS', 'DESCRIPTION'], (row) => [
        row.name,
        row.users.join(', ') || '-',
        row.description || '-',
      ]);
    });
  group
    .command('create')
    .description('create a group')
    .argument('<name>')
    .option('--description <text>', 'who they are', '')
    .addHelpText('after', '\nExample:\n  hypo group create operators --description "on call"')
    .action(async (name: string, _options: unknown, command: Command) => {
      const { description } = optionsOf<{ description: string }>(command);
      await onServer(command, context, (session) =>
        session.client
          .call(accountManager(session), 'CreateGroup', { group: data('HostAccountSpec', { id: name, description }) })
          .catch((error: unknown) => {
            throw withName(name, error);
          }),
      );
      answer(context, command, { name }, `${name}: created`);
    });
  const memberships = {
    add: { description: 'put users into a group', method: 'AssignUserToGroup', done: 'in' },
    remove: { description: 'take users out of a group', method: 'UnassignUserFromGroup', done: 'no longer in' },
  } as const;
  for (const [verb, { description, method, done }] of Object.entries(memberships)) {
    group
      .command(verb)
      .description(description)
      .argument('<name>', 'the group')
      .argument('<users...>')
      .addHelpText('after', `\nExample:\n  hypo group ${verb} operators ann bob`)
      .action(async (name: string, users: string[], _options: unknown, command: Command) => {
        await onServer(command, context, async (session) => {
          const manager = accountManager(session);
          for (const user of users) {
            await session.client.call(manager, method, { user, group: name }).catch((error: unknown) => {
              throw withName(user, error);
            });
          }
        });
        answer(
          context,
          command,
          users.map((user) => ({ name: user, group: name })),
          users.map((user) => `${user}: ${done} ${name}`).join('\n'),
        );
      });
  }
  group
    .command('rm')
    .description('remove groups; their users stay')
    .argument('<names...>')
    .addHelpText('after', '\nExample:\n  hypo group rm operators')
    .action(async (names: string[], _options: unknown, command: Command) => {
      await onServer(command, context, async (session) => {
        const manager = accountManager(session);
        for (const groupName of names) {
          await session.client.call(manager, 'RemoveGroup', { groupName }).catch((error: unknown) => {
            throw withName(groupName, error);
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
