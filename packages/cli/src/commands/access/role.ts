import { VimFault } from '@hypostyle/vim';
import type { Command } from 'commander';
import { type CommandDefinition, onServer, optionsOf } from '../../command-context.ts';
import type { ServerSession } from '../../connection/server-session.ts';
import { CliError } from '../../errors.ts';
import { withName } from '../../inventory/run-task.ts';
import { answer, answerRows } from '../../output/answer.ts';
import { authorizationManager, findRole, listRoles } from '../../rights/roles.ts';

interface RoleChange {
  readonly name?: string;
  readonly add?: readonly string[];
  readonly remove?: readonly string[];
}

/** `hypo role`: privileges under one name. */
export const defineRole: CommandDefinition = (program, context) => {
  const role = program
    .command('role')
    .description('create, list, change and remove roles')
    .addHelpText(
      'after',
      `
Examples:
  hypo role ls
  hypo role create operator VirtualMachine.Interact.PowerOn VirtualMachine.Interact.PowerOff
  hypo permission set ann operator /Datacenter/vm/web`,
    );
  role
    .command('ls')
    .description('list roles, or the privileges of one')
    .argument('[role]', 'name or number')
    .option('--all-privileges', 'list every privilege that there is')
    .addHelpText('after', '\nExamples:\n  hypo role ls\n  hypo role ls Admin\n  hypo role ls --all-privileges')
    .action(async (name: string | undefined, _options: unknown, command: Command) => {
      const { allPrivileges } = optionsOf<{ allPrivileges?: boolean }>(command);
      if (name !== undefined || allPrivileges) {
        const privileges = await onServer(command, context, async (session) =>
          name === undefined ? knownPrivileges(session) : [...((await findRole(session, name)).privilege ?? [])].sort(),
        );
        answer(context, command, privileges, privileges.join('\n'));
        return;
      }
      const roles = await onServer(command, context, listRoles);
      const rows = roles.map(({ roleId, name: roleName, system, info, privilege = [] }) => ({
        id: roleId,
        name: roleName,
        system,
        description: info.summary,
        privileges: [...privilege],
      }));
      answerRows(context, command, rows, ['NAME', 'NUMBER', 'PRIVILEGES', 'DESCRIPTION'], (row) => [
        row.name,
        String(row.id),
        String(row.privileges.length),
        row.description,
      ]);
    });
  role
    .command('create')
    .description('create a role')
    .argument('<name>')
    .argument('[privileges...]', "as 'hypo role ls --all-privileges' lists them; a group for all of it")
    .addHelpText('after', '\nExamples:\n  hypo role create operator VirtualMachine.Interact\n  hypo role create looker')
    .action(async (name: string, words: string[], _options: unknown, command: Command) => {
      const created = await onServer(command, context, async (session) => {
        const privIds = privilegesNamed(await knownPrivileges(session), words);
        const id = await session.client
          .call(authorizationManager(session), 'AddAuthorizationRole', { name, privIds })
          .catch((error: unknown) => {
            throw withName(name, error);
          });
        return { id, name, privileges: privIds };
      });
      answer(context, command, created, `${name}: created`);
    });
  role
    .command('change')
    .description('rename a role, add privileges, take them away')
    .argument('<role>', 'name or number')
    .option('--name <name>', 'its new name')
    .option('--add <privileges...>', 'privileges or groups of them')
    .option('--remove <privileges...>', 'privileges or groups of them')
    .addHelpText(
      'after',
      '\nExamples:\n  hypo role change operator --add Datastore.Browse --remove VirtualMachine.Interact.Reset\n  hypo role change operator --name night-shift',
    )
    .action(async (text: string, _options: unknown, command: Command) => {
      const { name, add = [], remove = [] } = optionsOf<RoleChange>(command);
      if (name === undefined && add.length + remove.length === 0) {
        throw new CliError('usage', 'Nothing is said to change.', { next: 'Give --name, --add or --remove.' });
      }
      const changed = await onServer(command, context, async (session) => {
        const before = await findRole(session, text);
        const known = await knownPrivileges(session);
        const gone = new Set(privilegesNamed(known, remove));
        const all = new Set([...(before.privilege ?? []), ...privilegesNamed(known, add)]);
        const privIds = [...all].filter((one) => !gone.has(one));
        const newName = name ?? before.name;
        await session.client
          .call(authorizationManager(session), 'UpdateAuthorizationRole', { roleId: before.roleId, newName, privIds })
          .catch((error: unknown) => {
            throw withName(before.name, error);
          });
        return { id: before.roleId, name: newName, privileges: privIds };
      });
      answer(context, command, changed, `${changed.name}: changed`);
    });
  role
    .command('rm')
    .description('remove roles')
    .argument('<roles...>', 'names or numbers')
    .option('--force', 'those that somebody has, too: they lose them')
    .addHelpText('after', '\nExample:\n  hypo role rm operator')
    .action(async (names: string[], _options: unknown, command: Command) => {
      const { force = false } = optionsOf<{ force?: boolean }>(command);
      const removed = await onServer(command, context, async (session) => {
        const roles = [];
        for (const name of names) roles.push(await findRole(session, name));
        for (const { roleId, name } of roles) {
          await session.client
            .call(authorizationManager(session), 'RemoveAuthorizationRole', { roleId, failIfUsed: !force })
            .catch((error: unknown) => {
              if (!(error instanceof VimFault) || error.type !== 'RemoveFailed') throw withName(name, error);
              throw new CliError('failed', `${name}: ${error.message}`, {
                next: 'Use --force to take it from those who have it.',
                cause: error,
              });
            });
        }
        return roles.map(({ roleId, name }) => ({ id: roleId, name }));
      });
      answer(context, command, removed, removed.map(({ name }) => `${name}: removed`).join('\n'));
    });
};

async function knownPrivileges(session: ServerSession): Promise<string[]> {
  const [found] = await session.client.retrieve(authorizationManager(session), ['privilegeList']);
  return (found?.values.privilegeList ?? []).map(({ privId }) => privId).sort();
}

/** Privileges by their ids, or by a group of them such as `VirtualMachine.Interact`. Throws `not-found`. */
export function privilegesNamed(known: readonly string[], words: readonly string[]): string[] {
  const found = words.flatMap((word) => {
    const named = known.filter((privilege) => privilege === word || privilege.startsWith(`${word}.`));
    if (named.length > 0) return named;
    throw new CliError('not-found', `There is no privilege '${word}'.`, {
      next: "'hypo role ls --all-privileges' lists them.",
    });
  });
  return [...new Set(found)];
}
