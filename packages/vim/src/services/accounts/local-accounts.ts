import { fault } from '../../runtime/fault.ts';
import { Turns } from '../../runtime/turns.ts';
import type { PrincipalDirectory, PrincipalWatcher } from '../authorization/principal-directory.ts';
import type { Persistence } from '../persistence.ts';
import type { Identity, IdentityProvider } from '../sessions/identity-provider.ts';
import { AccountNames, type AccountNaming } from './account-names.ts';
import { decoyHash, hashPassword, type PasswordHash, verifyPassword } from './password-hash.ts';
import { checkPassword, type PasswordPolicy } from './password-policy.ts';
import { VerifiedPasswords } from './verified-passwords.ts';

/** A user or group as others see it. */
export interface Account {
  /** With its domain, where accounts have one. */
  readonly name: string;
  readonly group: boolean;
  readonly description: string;
  /** Groups that it is in itself. */
  readonly groups: readonly string[];
}

/** An account as it is kept: names without the domain. */
interface AccountRecord extends Account {
  readonly password?: PasswordHash;
}

export interface LocalAccountsOptions extends AccountNaming {
  readonly persistence: Persistence;
  readonly passwords?: PasswordPolicy;
  /** Cost of scrypt for new passwords, a power of two; tests lower it. */
  readonly passwordCost?: number;
}

const collection = 'accounts';
const namePattern = /^[A-Za-z0-9_][A-Za-z0-9_.@\\-]{0,63}$/;
const domainNamePattern = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$/;

/** Users and groups of this server itself. Names compare without regard to case. */
export class LocalAccounts implements IdentityProvider, PrincipalDirectory {
  readonly names: AccountNames;
  readonly #persistence: Persistence;
  readonly #cost: number | undefined;
  readonly #policy: PasswordPolicy;
  readonly #accounts = new Map<string, AccountRecord>();
  readonly #watchers = new Set<PrincipalWatcher>();
  /** What the password of an unknown name is compared with, so that it takes as long. */
  readonly #decoy: PasswordHash;
  readonly #verified = new VerifiedPasswords();
  /** Changes go one after another. */
  readonly #turns = new Turns();

  private constructor(options: LocalAccountsOptions) {
    this.names = new AccountNames(options);
    this.#persistence = options.persistence;
    this.#cost = options.passwordCost;
    this.#policy = options.passwords ?? {};
    this.#decoy = decoyHash(options.passwordCost);
  }

  static async open(options: LocalAccountsOptions): Promise<LocalAccounts> {
    const accounts = new LocalAccounts(options);
    for (const { value } of await options.persistence.list<AccountRecord>(collection)) {
      accounts.#accounts.set(memoryKey(value.name.toLowerCase(), value.group), value);
    }
    return accounts;
  }

  get empty(): boolean {
    return this.#accounts.size === 0;
  }

  list(): Account[] {
    return [...this.#accounts.values()].map(({ name, group, description, groups }) => ({
      name: this.names.shown(name),
      group,
      description,
      groups: groups.map((each) => this.names.shown(each)),
    }));
  }

  async authenticate(userName: string, password: string): Promise<Identity | undefined> {
    const account = this.#find(userName, false);
    const hash = account?.password;
    if (account !== undefined && hash !== undefined && this.#verified.knows(hash, password))
      return this.#identity(account);
    const right = await verifyPassword(password, hash ?? this.#decoy);
    if (!right || hash === undefined || account === undefined) return undefined;
    this.#verified.remember(hash, password);
    // It may have gone, or changed, while its password was looked at.
    return this.#find(userName, false)?.password === account.password ? this.#identity(account) : undefined;
  }

  async identity(userName: string): Promise<Identity | undefined> {
    const account = this.#find(userName, false);
    return account === undefined ? undefined : this.#identity(account);
  }

  canonicalName(userName: string): string {
    const account = this.#find(userName, false);
    return account === undefined ? userName : this.names.shown(account.name);
  }

  async find(principal: string, group: boolean): Promise<string | undefined> {
    const account = this.#find(principal, group);
    return account === undefined ? undefined : this.names.shown(account.name);
  }

  async groupsOf(userName: string): Promise<readonly string[]> {
    const account = this.#find(userName, false);
    return account === undefined ? [] : this.#allGroups(account);
  }

  watch(watcher: PrincipalWatcher): () => void {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  /** Fails with AlreadyExists, or InvalidArgument when name or password will not do. Answers the user's one name. */
  async createUser(written: string, password: string, description = ''): Promise<string> {
    const name = this.#newName(written);
    checkPassword(password, { name, policy: this.#policy });
    await this.#turns.take(async () => {
      this.#checkFree(name, false);
      const hash = await hashPassword(password, this.#cost);
      await this.#keep([{ name, group: false, description, groups: [], password: hash }]);
    });
    return this.names.shown(name);
  }

  /** Changes what is given. Fails with UserNotFound, or InvalidArgument when the password will not do. */
  async updateUser(name: string, change: { readonly password?: string; readonly description?: string }): Promise<void> {
    await this.#turns.take(async () => {
      const user = this.#account(name, false);
      if (change.password !== undefined) checkPassword(change.password, { name: user.name, policy: this.#policy });
      const password = change.password === undefined ? user.password : await hashPassword(change.password, this.#cost);
      const { description = user.description } = change;
      await this.#keep([{ ...user, description, ...(password === undefined ? {} : { password }) }]);
    });
  }

  /** Fails with UserNotFound, or AuthMinimumAdminPermission when nobody could change rights any more. */
  async removeUser(name: string): Promise<void> {
    await this.#turns.take(async () => {
      const user = this.#account(name, false);
      await this.#remove(user, []);
    });
  }

  /** Fails with AlreadyExists, or InvalidArgument when the name will not do. Answers the group's one name. */
  async createGroup(written: string, description = ''): Promise<string> {
    const name = this.#newName(written);
    await this.#turns.take(async () => {
      this.#checkFree(name, true);
      await this.#keep([{ name, group: true, description, groups: [] }]);
    });
    return this.names.shown(name);
  }

  /** Fails with UserNotFound, or AuthMinimumAdminPermission when nobody could change rights any more. */
  async removeGroup(name: string): Promise<void> {
    await this.#turns.take(async () => {
      const group = this.#account(name, true);
      const members = [...this.#accounts.values()].filter(({ groups }) => groups.includes(group.name));
      await this.#remove(
        group,
        members.map((each) => without(each, group)),
      );
    });
  }

  /**
   * Puts a user, or a group, into a group. Fails with UserNotFound, AlreadyExists for a member, and InvalidArgument
   * where groups would hold each other.
   */
  async assign(memberName: string, groupName: string, options: { readonly group?: boolean } = {}): Promise<void> {
    await this.#turns.take(async () => {
      const member = this.#account(memberName, options.group === true);
      const group = this.#account(groupName, true);
      if (member.groups.includes(group.name)) {
        throw fault('AlreadyExists', { name: memberName }, 'The account is in the group.');
      }
      if (member.group && (member.name === group.name || this.#above(group).includes(member.name))) {
        throw fault('InvalidArgument', { invalidProperty: 'group' }, 'Groups cannot hold each other.');
      }
      await this.#keep([{ ...member, groups: [...member.groups, group.name] }]);
    });
  }

  /** Fails with UserNotFound, also for an account that is no member. */
  async unassign(memberName: string, groupName: string, options: { readonly group?: boolean } = {}): Promise<void> {
    await this.#turns.take(async () => {
      const member = this.#account(memberName, options.group === true);
      const group = this.#account(groupName, true);
      if (!member.groups.includes(group.name)) throw userNotFound(memberName);
      await this.#keep([without(member, group)]);
    });
  }

  #identity(account: AccountRecord): Identity {
    const { name, description } = account;
    return { userName: this.names.shown(name), fullName: description || name, groups: this.#allGroups(account) };
  }

  /** Names of all groups that an account is in, and of those that they are in. */
  #above({ groups }: AccountRecord): string[] {
    const found = new Set(groups);
    // A set that grows while it is walked is walked to its end.
    for (const name of found) {
      for (const next of this.#accounts.get(memoryKey(name.toLowerCase(), true))?.groups ?? []) found.add(next);
    }
    return [...found];
  }

  #allGroups(account: AccountRecord): string[] {
    return this.#above(account).map((name) => this.names.shown(name));
  }

  #find(written: string, group: boolean): AccountRecord | undefined {
    const key = this.names.key(written, group);
    return key === undefined ? undefined : this.#accounts.get(memoryKey(key, group));
  }

  #account(name: string, group: boolean): AccountRecord {
    const account = this.#find(name, group);
    if (account === undefined) throw userNotFound(name);
    return account;
  }

  #newName(written: string): string {
    const name = this.names.stored(written);
    const pattern = this.names.domain === undefined ? namePattern : domainNamePattern;
    if (name === undefined || !pattern.test(name)) {
      throw fault('InvalidArgument', { invalidProperty: 'id' }, 'The name of the account is not valid.');
    }
    return name;
  }

  #checkFree(name: string, group: boolean): void {
    // An alias is taken, too: whoever types it means somebody else.
    if (this.#find(name, group) === undefined) return;
    throw fault('AlreadyExists', { name }, `The ${group ? 'group' : 'user'} ${name} exists.`);
  }

  async #keep(records: readonly AccountRecord[]): Promise<void> {
    await this.#change(records, undefined);
  }

  async #remove(gone: AccountRecord, others: readonly AccountRecord[]): Promise<void> {
    const shown = this.names.shown(gone.name);
    for (const watcher of this.#watchers) watcher.removing(shown, gone.group);
    await this.#change(others, gone);
    for (const watcher of this.#watchers) await watcher.removed(shown, gone.group);
  }

  async #change(records: readonly AccountRecord[], gone: AccountRecord | undefined): Promise<void> {
    const before = this.#memberships();
    await this.#persistence.transact([
      ...records.map((value) => ({ put: { collection, key: storedKey(value), value } })),
      ...(gone === undefined ? [] : [{ delete: { collection, key: storedKey(gone) } }]),
    ]);
    for (const record of records) this.#accounts.set(memoryKey(record.name.toLowerCase(), record.group), record);
    if (gone !== undefined) this.#accounts.delete(memoryKey(gone.name.toLowerCase(), gone.group));
    for (const [user, groups] of this.#memberships()) {
      if (!before.has(user) || before.get(user)?.join() === groups.join()) continue;
      for (const watcher of this.#watchers) watcher.regrouped(user, groups);
    }
  }

  /** Groups of every user. */
  #memberships(): Map<string, string[]> {
    const users = [...this.#accounts.values()].filter(({ group }) => !group);
    return new Map(users.map((user) => [this.names.shown(user.name), this.#allGroups(user)]));
  }
}

function without(member: AccountRecord, group: AccountRecord): AccountRecord {
  return { ...member, groups: member.groups.filter((name) => name !== group.name) };
}

function memoryKey(name: string, group: boolean): string {
  return `${group ? 'group' : 'user'} ${name}`;
}

/** As it is written when it was made: an account keeps the case of its name. */
function storedKey({ name, group }: AccountRecord): string {
  return memoryKey(name, group);
}

function userNotFound(principal: string) {
  return fault('UserNotFound', { principal, unresolved: false }, `There is no account ${principal}.`);
}
