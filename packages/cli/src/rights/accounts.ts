import type { ManagedObjectReference } from '@hypostyle/vim';
import type { ServerSession } from '../connection/server-session.ts';
import { CliError } from '../errors.ts';

/** What keeps users and groups. Throws where the server leaves that to somebody else. */
export function accountManager({ content }: ServerSession): ManagedObjectReference<'HostLocalAccountManager'> {
  if (content.accountManager !== undefined) return content.accountManager;
  throw new CliError('failed', 'The server keeps no users of its own.', {
    next: 'Create them where it looks them up.',
  });
}

export interface AccountSearch {
  readonly findUsers: boolean;
  readonly findGroups: boolean;
  readonly belongsToGroup?: string;
  readonly belongsToUser?: string;
}

export async function findAccounts({ client, content }: ServerSession, search: AccountSearch) {
  if (content.userDirectory === undefined) throw new CliError('failed', 'The server tells nobody of its users.');
  const found = await client.call(content.userDirectory, 'RetrieveUserGroups', {
    searchStr: '',
    exactMatch: false,
    ...search,
  });
  return (found ?? [])
    .map(({ principal, fullName = '', group }) => ({ name: principal, description: fullName, group }))
    .sort((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true }));
}
