import { data, type ManagedObjectReference } from '@hypostyle/vim';
import type { Command } from 'commander';
import { type CommandDefinition, onServer, optionsOf } from '../../command-context.ts';
import { findAnything } from '../../inventory/find-object.ts';
import { loadInventory } from '../../inventory/load-inventory.ts';
import { withName } from '../../inventory/run-task.ts';
import { answer, answerRows } from '../../output/answer.ts';
import { authorizationManager, findRole, listRoles } from '../../rights/roles.ts';

/** `hypo permission`: who has which role where. */
export const definePermission: CommandDefinition = (program, context) => {
  const permission = program
    .command('permission')
    .description('list, set and remove permissions: who has which role where')
    .addHelpText(
      'after',
      '\nExamples:\n  hypo permission set ann ReadOnly\n  hypo permission set operators operator /Datacenter/vm/web --group\n  hypo permission ls',
    );
  permission
    .command('ls')
    .description('list all permissions, or those that count for one object')
    .argument('[object]', 'name, path or id; / is the root')
    .addHelpText('after', '\nExamples:\n  hypo permission ls\n  hypo permission ls web1')
    .action(async (name: string | undefined, _options: unknown, command: Command) => {
      const rows = await onServer(command, context, async (session) => {
        const inventory = await loadInventory(session);
        const manager = authorizationManager(session);
        const found =
          name === undefined
            ? await session.client.call(manager, 'RetrieveAllPermissions', {})
            : await session.client.call(manager, 'RetrieveEntityPermissions', {
                entity: findAnything(inventory, name).ref,
                inherited: true,
              });
        const roles = new Map((await listRoles(session)).map((role) => [role.roleId, role.name]));
        return (found ?? []).map(({ entity, principal, group, roleId, propagate }) => ({
          principal,
          group,
          role: roles.get(roleId) ?? String(roleId),
          on: (entity && inventory.byId(entity.value)?.path) ?? entity?.value ?? '',
          propagate,
        }));
      });
      answerRows(context, command, rows, ['WHO', 'ROLE', 'ON', 'BELOW IT TOO'], (row) => [
        row.group ? `${row.principal} (group)` : row.principal,
        row.role,
        row.on,
        row.propagate ? 'yes' : 'no',
      ]);
    });
  permission
    .command('set')
    .description('give a user or group a role on an object and what lies below it')
    .argument('<principal>', 'user, or group with --group')
    .argument('<role>', 'name or number')
    .argument('[object]', 'name, path or id; all there is unless told', '/')
    .option('--group', 'it is a group')
    .option('--no-propagate', 'on the object alone')
    .addHelpText(
      'after',
      '\nExamples:\n  hypo permission set ann ReadOnly\n  hypo permission set operators operator /Datacenter/vm/web --group',
    )
    .action(async (principal: string, role: string, name: string, _options: unknown, command: Command) => {
      const { group = false, propagate } = optionsOf<{ group?: boolean; propagate: boolean }>(command);
      const set = await onServer(command, context, async (session) => {
        const { roleId, name: roleName } = await findRole(session, role);
        const { ref: entity, path } = findAnything(await loadInventory(session), name);
        const value = data('Permission', { principal, group, roleId, propagate });
        await session.client
          .call(authorizationManager(session), 'SetEntityPermissions', { entity, permission: [value] })
          .catch((error: unknown) => {
            throw withName(principal, error);
          });
        return { principal, group, role: roleName, on: path, propagate };
      });
      answer(context, command, set, `${principal}: ${set.role} on ${set.on}`);
    });
  permission
    .command('rm')
    .description('take what was set on an object from a user or group')
    .argument('<principal>', 'user, or group with --group')
    .argument('[object]', 'name, path or id; the root unless told', '/')
    .option('--group', 'it is a group')
    .addHelpText(
      'after',
      '\nExamples:\n  hypo permission rm ann\n  hypo permission rm operators /Datacenter/vm/web --group',
    )
    .action(async (principal: string, name: string, _options: unknown, command: Command) => {
      const { group = false } = optionsOf<{ group?: boolean }>(command);
      const path = await onServer(command, context, async (session) => {
        const object = findAnything(await loadInventory(session), name);
        const entity: ManagedObjectReference<'Folder'> = object.ref as ManagedObjectReference<'Folder'>;
        await session.client
          .call(authorizationManager(session), 'RemoveEntityPermission', { entity, user: principal, isGroup: group })
          .catch((error: unknown) => {
            throw withName(principal, error);
          });
        return object.path;
      });
      answer(context, command, { principal, group, on: path }, `${principal}: nothing set on ${path} any more`);
    });
};
