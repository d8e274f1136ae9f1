import type { AuthorizationRole, ManagedObjectReference } from '@hypostyle/vim';
import type { ServerSession } from '../connection/server-session.ts';
import { CliError } from '../errors.ts';

export function authorizationManager({ content }: ServerSession): ManagedObjectReference<'AuthorizationManager'> {
  if (content.authorizationManager !== undefined) return content.authorizationManager;
  throw new CliError('failed', 'The server tells nobody of its rights.');
}

/** Roles by name. */
export async function listRoles(session: ServerSession): Promise<AuthorizationRole[]> {
  const [found] = await session.client.retrieve(authorizationManager(session), ['roleList']);
  return [...(found?.values.roleList ?? [])].sort((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true }));
}

/** By name, in whatever case where that says which, or number. Throws `not-found`. */
export async function findRole(session: ServerSession, text: string): Promise<AuthorizationRole> {
  const roles = await listRoles(session);
  const same = (name: string) => name.toLowerCase() === text.toLowerCase();
  const found =
    roles.find(({ name, roleId }) => name === text || String(roleId) === text) ??
    roles.find(({ name, info }) => same(name) || same(info.label));
  if (found !== undefined) return found;
  throw new CliError('not-found', `There is no role '${text}'.`, { next: "'hypo role ls' lists them." });
}
