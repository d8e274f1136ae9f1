import type { DataTypes } from '../../generated/types.ts';
import { actingUser } from '../../runtime/call-context.ts';
import { fault } from '../../runtime/fault.ts';
import type { Call, ManagedObjectClass } from '../../runtime/managed-object.ts';
import type { Registry } from '../../runtime/registry.ts';
import type { ManagedObjectReference } from '../../schema/values.ts';
import type { EventPoster } from '../events/event-poster.ts';
import type { LocalAccounts } from './local-accounts.ts';

export interface AccountManagerOptions {
  readonly registry: Registry;
  readonly accounts: LocalAccounts;
  readonly events: EventPoster;
  /** The host that the accounts are of, for events. */
  readonly host?: ManagedObjectReference;
  /** Checks a password as sign-in does, with its limit on guesses; false when wrong. */
  readonly checkPassword: (call: Call, userName: string, password: string) => Promise<boolean>;
  readonly referenceValue?: string;
}

/** Adds the HostLocalAccountManager: a host's own users and groups. */
export function addAccountManager(options: AccountManagerOptions): ManagedObjectReference<'HostLocalAccountManager'> {
  const { registry, accounts, events, host, checkPassword, referenceValue = 'ha-localacctmgr' } = options;
  const post = (call: Call, type: keyof DataTypes, members: object) =>
    events.post(undefined, { type, entity: host, userName: actingUser(call), members });
  const spec = (user: DataTypes['HostAccountSpec']) => ({ id: user.id, description: user.description });
  const managerClass: ManagedObjectClass<'HostLocalAccountManager'> = {
    type: 'HostLocalAccountManager',
    methods: {
      CreateUser: async (call, { user }) => {
        if (user.password === undefined) {
          throw fault('InvalidArgument', { invalidProperty: 'user.password' }, 'A user needs a password.');
        }
        const id = await accounts.createUser(user.id, user.password, user.description);
        post(call, 'AccountCreatedEvent', { spec: { ...spec(user), id }, group: false });
      },
      UpdateUser: async (call, { user }) => {
        const { password, description } = user;
        await accounts.updateUser(user.id, {
          ...(password === undefined ? {} : { password }),
          ...(description === undefined ? {} : { description }),
        });
        post(call, 'AccountUpdatedEvent', { spec: spec(user), group: false });
      },
      RemoveUser: async (call, { userName }) => {
        // Whoever is signed in would be left with no way back.
        const account = accounts.canonicalName(userName);
        if (account === call.session?.userName) throw fault('SecurityError', {}, 'One cannot remove oneself.');
        await accounts.removeUser(userName);
        post(call, 'AccountRemovedEvent', { account, group: false });
      },
      CreateGroup: async (call, { group }) => {
        const id = await accounts.createGroup(group.id, group.description);
        post(call, 'AccountCreatedEvent', { spec: { ...spec(group), id }, group: true });
      },
      RemoveGroup: async (call, { groupName }) => {
        await accounts.removeGroup(groupName);
        post(call, 'AccountRemovedEvent', { account: groupName, group: true });
      },
      AssignUserToGroup: async (call, { user, group }) => {
        await accounts.assign(user, group);
        const members = { spec: { id: accounts.canonicalName(user) }, group: false };
        post(call, 'AccountUpdatedEvent', members);
      },
      UnassignUserFromGroup: async (call, { user, group }) => {
        await accounts.unassign(user, group);
        post(call, 'AccountUpdatedEvent', { spec: { id: accounts.canonicalName(user) }, group: false });
      },
      ChangePassword: async (call, { user, oldPassword, newPassword }) => {
        if (!(await checkPassword(call, user, oldPassword))) {
          throw fault('InvalidLogin', {}, 'The user name or password is incorrect.');
        }
        await accounts.updateUser(user, { password: newPassword });
        post(call, 'AccountUpdatedEvent', { spec: { id: accounts.canonicalName(user) }, group: false });
      },
    },
  };
  return registry.commit((draft) => draft.add(managerClass, referenceValue, {}));
}

export interface UserDirectoryOptions {
  readonly registry: Registry;
  readonly accounts: LocalAccounts;
  readonly referenceValue?: string;
}

/** Most accounts that one search answers. */
const searchLimit = 1_000;

/** Adds the UserDirectory: finds users and groups. */
export function addUserDirectory(options: UserDirectoryOptions): ManagedObjectReference<'UserDirectory'> {
  const { registry, accounts, referenceValue = 'UserDirectory' } = options;
  const domains = [accounts.names.domain ?? ''];
  const directoryClass: ManagedObjectClass<'UserDirectory'> = {
    type: 'UserDirectory',
    methods: {
      RetrieveUserGroups: (_call, args) => {
        const { domain = '', searchStr, belongsToGroup, belongsToUser, exactMatch, findUsers, findGroups } = args;
        if (domain !== '' && domain.toLowerCase() !== accounts.names.domain?.toLowerCase())
          throw fault('NotFound', {}, `There is no domain ${domain}.`);
        const all = accounts.list();
        const { names } = accounts;
        const named = (name: string | undefined, group: boolean) =>
          name === undefined
            ? undefined
            : all.find((each) => each.group === group && names.key(each.name, group) === names.key(name, group));
        const within = named(belongsToGroup, true);
        if (belongsToGroup !== undefined && within === undefined) {
          throw fault('NotFound', {}, `There is no group ${belongsToGroup}.`);
        }
        const user = named(belongsToUser, false);
        if (belongsToUser !== undefined && user === undefined) {
          throw fault('NotFound', {}, `There is no user ${belongsToUser}.`);
        }
        const wanted = searchStr.toLowerCase();
        return all
          .filter(({ name, group, description, groups }) => {
            if (group ? !findGroups : !findUsers) return false;
            if (within !== undefined && !groups.includes(within.name)) return false;
            if (user !== undefined && !(group && user.groups.includes(name))) return false;
            if (exactMatch) return names.key(name, group) === names.key(searchStr, group);
            return name.toLowerCase().includes(wanted) || description.toLowerCase().includes(wanted);
          })
          .slice(0, searchLimit)
          .map(({ name, group, description }) => ({ principal: name, fullName: description, group }));
      },
    },
  };
  return registry.commit((draft) => draft.add(directoryClass, referenceValue, { domainList: domains }));
}
